"""REST: one HTTP exchange, paging, and typed methods for what the daemon and people ask."""
