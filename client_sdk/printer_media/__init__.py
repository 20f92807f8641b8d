"""Converts the lines of a print job to bytes. Core and the printer's agent share it."""
