"""Starts each process of Core, and wires those beside Core itself."""
