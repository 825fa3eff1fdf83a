"""What the tests of the console share."""

import logging

import pytest


@pytest.fixture
def loggers():
    """Restore the handlers and levels of the root logger and of Optuna's after a test."""
    names = (None, "optuna")
    before = [(logging.getLogger(name), logging.getLogger(name).handlers[:]) for name in names]
    levels = [(logger, logger.level, logger.propagate) for logger, _ in before]
    yield
    for logger, handlers in before:
        logger.handlers[:] = handlers
    for logger, level, propagate in levels:
        logger.setLevel(level)
        logger.propagate = propagate
