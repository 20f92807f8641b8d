"""A database that has gone back: how it is found out, and the new epoch that follows."""
