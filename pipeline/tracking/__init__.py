"""Tracking: the thin layer over MLflow, the one place that imports it."""

from pipeline.tracking.links import ui_of
from pipeline.tracking.tracker import Tracker

__all__ = ["Tracker", "ui_of"]
