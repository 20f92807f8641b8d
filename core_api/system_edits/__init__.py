"""Core's own changes of documents: expiry, renewed sessions, new schemas."""
