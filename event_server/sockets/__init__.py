"""A WebSocket beside a stream: its handshake, its messages, and what its client may say."""
