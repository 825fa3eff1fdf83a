"""One trial: its plan, its result, and the task that a worker runs."""
