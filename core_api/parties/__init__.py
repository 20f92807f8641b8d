"""Parties at tables: a guest's token is valid for the party that it was made for."""
