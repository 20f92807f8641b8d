"""Registered devices: registrations, their messages, commands to them."""
