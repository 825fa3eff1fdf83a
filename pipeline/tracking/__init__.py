"""Tracking: the thin layer over MLflow, the one place that imports it."""

from pipeline.tracking.tracker import Tracker

__all__ = ["Tracker"]
