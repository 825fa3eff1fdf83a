"""What the network in an estimator was built as: parameters that are set later change how it trains on, but not its layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.errors import UserError
from pipeline.study.hparams import HyperParams

SHAPING = ("hidden", "activation", "batch_norm", "layer_norm", "dropout", "conv")
"""The hyperparameters that layers are made from."""

Built = Mapping[str, Any]
"""Those, as plain values, with ``image_shape``, ``dtype`` and ``preprocessing``."""


def built_of(hparams: HyperParams, image_shape: tuple[int, ...], dtype: str, preprocessing: str) -> dict[str, Any]:
    """What a network of these is built as."""
    values = {name: getattr(hparams, name) for name in SHAPING}
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return {**plain, "image_shape": list(image_shape), "dtype": dtype, "preprocessing": preprocessing}


def check_same(then: Built, now: Built) -> None:
    """Raise :class:`UserError` if a network built as ``then`` cannot train on as ``now``; dropout may change, but not come or go."""
    for name, value in now.items():
        before = then[name]
        if bool(value) != bool(before) if name == "dropout" else value != before:
            raise UserError(
                f"{name}: got {value!r}; the network in training was built with {before!r}. Put it back, or call fit"
            )
