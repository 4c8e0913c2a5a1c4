"""The database as a file: connections, locks, identity, backups, inspection."""
