"""Fetch Sync: what a client that has applied so much is given."""
