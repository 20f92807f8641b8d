"""Schedules in which several clients edit documents, without a network now and then."""
