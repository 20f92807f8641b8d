"""Events that could not be published: kept for a person, listed and retried by command."""
