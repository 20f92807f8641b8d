"""Devices: identities, messages and topics, shared by Core, the gateway and the broker's admin."""
