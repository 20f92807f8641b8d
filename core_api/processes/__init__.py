"""Wires the processes beside Core; each loads what it runs, and no more."""
