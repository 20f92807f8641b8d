"""The event server: Kafka in, SSE out, no database.

source (Kafka) → intake → hub (rings, subscribers) → a push path (asgi) → the client; beside it
`stream` decides who may follow what, and `streams` keeps the open streams' heartbeats and ends.
"""
