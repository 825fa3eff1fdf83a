"""Hyperparameters: how architectures are written."""

import pytest

from pipeline.study.hparams import HyperParams, TrainConfig, source_text


@pytest.mark.parametrize("text", ["100x50", [100, 50], (100, 50)])
def test_an_architecture_can_be_a_choice(text):
    """Hidden sizes may be written as text, so that an architecture is a categorical hyperparameter."""
    assert HyperParams(hidden=text).hidden == (100, 50)


@pytest.mark.parametrize("indent", ["", "    "])
@pytest.mark.parametrize(
    "value",
    [HyperParams(), HyperParams(hidden=(100, 50), conv="16px32p", init=0.1, batch_norm=True), TrainConfig(epochs=3)],
)
def test_a_value_is_written_as_the_call_that_makes_it(value, indent):
    """The text evaluates to the value, and has no argument that is the default."""
    text = source_text(value, indent=indent)
    assert eval(text) == value  # noqa: S307  the text is our own
    assert text.count("=") == sum(getattr(value, name) != getattr(type(value)(), name) for name in vars(value))
