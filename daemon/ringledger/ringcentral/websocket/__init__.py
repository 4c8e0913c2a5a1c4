"""The WebSocket feed: frames, one connection, the receiver, and when to connect again."""
