"""The rows a network trains on: data sets by name, split afresh for every block, preprocessed from the training rows alone."""

from pipeline.data.dataset import Dataset, Split, class_count, fingerprint, load_block, small_block

__all__ = ["Dataset", "Split", "class_count", "fingerprint", "load_block", "small_block"]
