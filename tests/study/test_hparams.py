"""Hyperparameters: how architectures are written."""

import pytest

from pipeline.study.hparams import HyperParams


@pytest.mark.parametrize("text", ["100x50", [100, 50], (100, 50)])
def test_an_architecture_can_be_a_choice(text):
    """Hidden sizes may be written as text, so that an architecture is a categorical hyperparameter."""
    assert HyperParams(hidden=text).hidden == (100, 50)
