"""Documents: what the operator declares of them, and how an edit is settled. Pure rules."""
