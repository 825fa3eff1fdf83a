"""Diagnosis after a trial: its curves put into words."""
