"""Revoked tokens and sessions: stored in Postgres, read by Cores, published by relays.

`watching.py` refuses them in Core; event servers end their streams (`event_server/streams`).
"""
