"""The rows a network trains on: data sets by name, split afresh for every block, preprocessed from the training rows alone."""

from pipeline.data.dataset import Dataset, Split, class_count, fingerprint, load_block, small_block
from pipeline.data.rows import DataError

__all__ = ["DataError", "Dataset", "Split", "class_count", "fingerprint", "load_block", "small_block"]
