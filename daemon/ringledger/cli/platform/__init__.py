"""Commands that ask the platform or act on it."""
