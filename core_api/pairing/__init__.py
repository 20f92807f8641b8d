"""Pairing: a new tablet signs in by a code that a signed-in terminal shows."""
