"""The network in NumPy alone. Every array has a leading axis of K trials that train in lockstep."""
