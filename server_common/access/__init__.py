"""Authorization: access tokens, stream tickets, and secrets that are derived from a key."""
