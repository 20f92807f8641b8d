"""Parties at tables: a guest's token is good for the one that it was made for."""
