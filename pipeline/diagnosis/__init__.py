"""Diagnosis after a trial: rules that read its curves and state what went wrong."""
