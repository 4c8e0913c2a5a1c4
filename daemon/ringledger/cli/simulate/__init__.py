"""The simulated platform and the demonstration."""
