"""A new tablet that is let in by a code which a terminal that is signed in shows."""
