"""How the daemon fares: checks, status, watchdog, and HTTP for monitors."""
