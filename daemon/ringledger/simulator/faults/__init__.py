"""Faults of the simulated platform, by name and rate."""
