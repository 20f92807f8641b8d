"""Shared state as the wire carries it: values, pointers, patches, operations, edits, documents.

Pure, as the rest of the contract: Core and every client change a value by the same functions, so
that what a client shows of its pending edits is what Core will make of them.
"""
