"""A stream on its connection: requests, frames, and slow readers."""
