"""The wire contract that client, Core and event server share: names, texts, values, limits.

Pure: no I/O, no clock, no randomness. `docs/protocol.md` tells the same in prose.
"""
