"""Damaged input of every kind."""
