"""Decoding: bytes of the platform become observations and records of the domain, and every value is judged."""
