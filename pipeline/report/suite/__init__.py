"""The report of a suite: the verdict over data sets, its figures and its page."""
