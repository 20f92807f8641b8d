"""Benchmarks: they report figures, and assert none."""
