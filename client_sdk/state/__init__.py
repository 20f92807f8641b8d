"""Shared state and work without a network: documents, pending edits, and the queue they wait in.

The pure modules decide (`queue.py`, `documents.py`, `view.py`, `replica.py`, `observers.py`); the
others keep, send and show what they say.
"""
