"""The event server: Kafka in, SSE out, no database.

`kafka` reads records into the rings and the hub (`replay`), which writes to the subscribers of a
push path (`push`). Beside it `streams` decides who may follow what, and ends streams.
"""
