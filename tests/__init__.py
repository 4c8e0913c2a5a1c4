"""The test suite; it mirrors the package file for file."""
