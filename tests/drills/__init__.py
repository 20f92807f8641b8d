"""Rehearsals of what an operator does after a loss, on real processes."""
