"""What a load test measures, and the check that each client applied what Core has stored."""
