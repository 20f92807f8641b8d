"""Print jobs: which printer prints what of an order, and what became of it."""
