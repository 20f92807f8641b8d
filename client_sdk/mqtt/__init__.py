"""Orders over MQTT, with the buffered start and marks: `pip install 'yabam-events[mqtt]'`."""

from client_sdk.mqtt.client import BufferedOrderClient, MqttSettings
from client_sdk.mqtt.connection import MqttConnection

__all__ = ["BufferedOrderClient", "MqttConnection", "MqttSettings"]
