"""The authorisation: one owner of the token, and the session that outlives a process."""
