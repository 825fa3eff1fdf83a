"""Tracking: a thin layer over MLflow, and the only package that imports it."""

import os

# Set before mlflow is imported. No telemetry; a server may be away for a minute; MLflow does not print links at the end of
# every run, for which it would ask the server once more.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

from pipeline.tracking.links import ui_of
from pipeline.tracking.tracker import Tracker

__all__ = ["Tracker", "ui_of"]
