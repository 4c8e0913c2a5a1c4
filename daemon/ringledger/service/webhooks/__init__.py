"""Events for other systems: letters, delivery, the worker that sends them, metrics."""
