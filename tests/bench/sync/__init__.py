"""Fetch Sync and the write path under load, beside other ways to do it: `make bench-sync`."""
