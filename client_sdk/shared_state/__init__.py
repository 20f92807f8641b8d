"""The shared state as programs use it: documents, the sending of edits, and the clients."""
