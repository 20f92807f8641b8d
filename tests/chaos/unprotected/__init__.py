"""Runs each scenario with its protection removed: then the chaos run must fail."""
