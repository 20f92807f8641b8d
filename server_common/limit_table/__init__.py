"""All sizes as one table, and how they must fit each other."""
