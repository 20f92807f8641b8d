"""Benchmarks. They report figures and assert none."""
