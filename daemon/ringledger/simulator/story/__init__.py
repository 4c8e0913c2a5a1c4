"""Call stories: text about calls, and what the platform would send for them."""
