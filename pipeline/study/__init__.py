"""A study: its declaration, search space and hyperparameters, and how its file is loaded."""
