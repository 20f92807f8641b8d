"""What a load test measures, and whether each client applied what Core has stored."""
