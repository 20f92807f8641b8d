"""Compares Fetch Sync and the write path under load with other solutions: `make bench-sync`."""
