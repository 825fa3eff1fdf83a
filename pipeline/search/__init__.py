"""Search: the plan, the samplers, the workers that train it, and the order in which trials are recorded."""
