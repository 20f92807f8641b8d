"""Edits of documents under load, beside the plain way to do it: `make bench-edits`."""
