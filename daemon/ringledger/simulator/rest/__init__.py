"""The simulated platform's REST interface."""
