"""Declarations of studies: a file that ends in ``STUDY = Study(...)`` is a study of the file's name."""
