"""Runs the real rules of client and servers in virtual time, with random faults and no sockets."""
