"""The AsyncAPI 3 document: all messages over event streams, WebSockets, Kafka and MQTT."""
