"""New orders told to owners' phones that are locked, by Web Push."""
