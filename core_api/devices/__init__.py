"""Registered devices: who they are, what they say, what they are told to do."""
