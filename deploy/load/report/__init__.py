"""The report of a load test: text, and one HTML file with its charts."""
