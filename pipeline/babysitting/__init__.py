"""Babysitting: before a study, checks that the network can learn at all."""
