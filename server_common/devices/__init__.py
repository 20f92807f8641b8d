"""Devices as Core, the gateway and the broker's admin all speak of them."""
