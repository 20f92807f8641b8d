"""Commands to orders in the queue of edits, and orders as they are shown meanwhile. Pure."""
