"""Commands to orders in the queue of edits: what is shown, and what goes out next. Pure."""
