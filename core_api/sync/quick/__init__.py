"""Fetch Syncs that go on from their cursors, for as little as they need."""
