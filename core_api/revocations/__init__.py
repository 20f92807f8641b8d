"""Tokens and sessions that are revoked: kept in Postgres, looked at by Cores, told by relays.

`watching.py` refuses them in Core; event servers end their streams (`event_server/streams`).
"""
