"""Schedules in which several clients edit documents, some of the time without a network."""
