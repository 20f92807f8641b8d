"""The buffered start for transports that cannot replay: subscribe, then fetch, then merge."""
