"""Data sets by name, split again for every block, and preprocessed from the training rows alone."""

from pipeline.data.dataset import Dataset, Split, describe, load_block, small_block
from pipeline.data.rows import DataDescription

__all__ = ["DataDescription", "Dataset", "Split", "describe", "load_block", "small_block"]
