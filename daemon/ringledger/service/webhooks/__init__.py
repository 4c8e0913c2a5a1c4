"""Events for other systems: messages, delivery, the worker that sends them, metrics."""
