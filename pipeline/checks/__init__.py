"""Checks before a study: cheap experiments that show whether the network can learn."""
