"""The simulated exchange: calls, legs, an office, and the records made of them."""
