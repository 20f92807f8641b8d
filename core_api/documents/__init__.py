"""Documents: their definitions, and how an edit is settled. Pure rules."""
