"""Order commands in the queue of edits, and orders as shown while they wait. Pure."""
