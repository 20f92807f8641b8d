"""Retention: which rows are deleted, and when."""
