"""The client's state machine, without sockets and clocks: when to sync, connect, poll and wait."""
