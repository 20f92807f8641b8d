"""The shared state for programs: documents, the sending of edits, and the clients."""
