"""The log of events: the SQL that appends to it, and the stored text of an event."""
