"""The real machine, hub and sync rules in virtual time, against seeded faults; no sockets."""
