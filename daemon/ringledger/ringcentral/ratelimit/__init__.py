"""Rate groups and penalties: how much may be asked, and by whom it is remembered."""
