"""The drill of an upgrade from the previous release, under load."""
