"""Declarations only: add a file that ends in ``STUDY = Study(...)`` and there is a study of that name."""
