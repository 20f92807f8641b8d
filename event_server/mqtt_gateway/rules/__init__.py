"""What the gateway decides, without clock and socket."""
