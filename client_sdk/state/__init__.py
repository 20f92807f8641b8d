"""Shared state and work without a network: documents, pending edits, and the queue they wait in.

The modules marked "Pure" contain the rules; the others do the input and output.
"""
