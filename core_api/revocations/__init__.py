"""Tokens and sessions that are revoked: kept in Postgres, looked at by Cores, told by relays."""
