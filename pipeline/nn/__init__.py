"""The network, in NumPy alone: every array carries a leading axis of K trials that are trained in lockstep."""
