"""Subscriptions as the platform keeps them: descriptions, stale ones, probes."""
