"""Shared state in messages: values, pointers, patches, operations, edits, documents.

Pure, as the rest of the contract. Core and every client change a value by the same functions, so
that a client shows its pending edits with the same result that Core will have.
"""
