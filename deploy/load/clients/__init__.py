"""The clients of the load test: they write orders, follow them, and measure the time of answers."""
