"""The lines of a print job as the bytes of a medium. Core and the printer's agent share it."""
