"""The simulated delivery of notifications: PubNub, WebSocket, subscriptions."""
