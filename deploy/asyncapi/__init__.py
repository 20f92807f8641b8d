"""The AsyncAPI 3 document: all messages over streams, sockets, Kafka and MQTT."""
