"""The streams: who may open one, how long it lives, when it ends."""
