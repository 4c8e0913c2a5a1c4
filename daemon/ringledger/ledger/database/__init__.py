"""Kinds of databases: what differs between SQLite and PostgreSQL, one module each; all else is portable SQL."""
