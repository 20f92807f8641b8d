"""The contract that clients, Core and event servers share: names, formats, values, limits.

Pure: no I/O, no clock, no randomness. `docs/protocol.md` describes the same in prose.
"""
