"""Compares edits of documents under load with a plain implementation: `make bench-edits`."""
