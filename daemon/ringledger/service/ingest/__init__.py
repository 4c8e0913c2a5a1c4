"""How facts come in: pipeline, poller, confirmer, back-fill, directory, and the account of the daemon's own sight."""
