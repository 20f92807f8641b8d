"""The clients of the load test: they write orders, follow them, and ask how soon answers come."""
