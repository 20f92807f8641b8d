"""Fetch Sync: the events, or the snapshot, that a client with a given cursor needs."""
