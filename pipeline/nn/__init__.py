"""The network in NumPy, with SciPy's BLAS for one product. Every array has a leading axis of K trials that train in lockstep."""
