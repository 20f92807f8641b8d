"""The log of events: what every write ends with, and the text that an event is kept as."""
