"""The load test's clients, which place orders, follow channels, and measure health requests."""
