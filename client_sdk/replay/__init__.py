"""Replaying recorded orders as a producer would send them."""
