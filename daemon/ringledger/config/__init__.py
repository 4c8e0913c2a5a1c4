"""Where configuration values come from, what is allowed, and where each value in force was found."""
