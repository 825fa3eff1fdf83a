"""The report: from a table of recorded trials to a verdict, its figures and a page."""
