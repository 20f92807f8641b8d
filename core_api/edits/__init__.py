"""Edits at work: read, settled, written in one statement, answered, and their history."""
