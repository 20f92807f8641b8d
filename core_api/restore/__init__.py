"""A database that went back in time: how this is detected, and the new epoch that follows."""
