"""Drills: what an operator does after a loss or at an upgrade, with real processes."""
