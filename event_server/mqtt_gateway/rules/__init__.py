"""The gateway's decisions, without clock and socket."""
