"""The AsyncAPI 3 document: everything that is sent, over streams, sockets, Kafka and MQTT."""
