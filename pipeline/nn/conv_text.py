"""The text that studies write convolutions as, and the shapes of images that convolutions accept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.errors import UserError
from pipeline.nn.conv import Maps

CHANNELS = (1, 3, 4)
"""The channels that an image may have: grey, RGB, RGB and opacity."""
EXPECTED = "text like 32x32px64s: numbers of filters, each with p for 2x2 max pooling after it or s for a stride of 2"


@dataclass(frozen=True)
class ConvSpec:
    """One convolution of a network; max pooling, if any, comes after its norm and before its activation."""

    filters: int
    stride: int
    pooled: bool


def parse_conv(value: Any) -> tuple[str, ...]:
    """Read convolutions, given as text like ``32x32px64s`` or as a list of its parts.

    The text form exists because Optuna's categorical choices are plain scalars. Raises :class:`UserError` for any other
    value.
    """
    parts = value.split("x") if isinstance(value, str) and value else value or ()
    parts = [parts] if isinstance(parts, int) else parts
    if not isinstance(parts, (list, tuple)):
        raise UserError(f"conv: got {value!r}; expected {EXPECTED}")
    return tuple(str(part) for part in parts if parse_conv_layer(part, value))


def parse_conv_layer(part: Any, whole: Any = None) -> ConvSpec:
    """Read one convolution, ``32``, ``32p``, ``32s`` or ``32sp``; an error quotes ``whole``, the value it is part of."""
    filters = str(part).rstrip("sp")
    marks = str(part)[len(filters) :]
    if not (filters.isascii() and filters.isdecimal()) or filters[0] == "0" or marks not in ("", "s", "p", "sp"):
        raise UserError(f"conv: got {part if whole is None else whole!r}; expected {EXPECTED}")
    return ConvSpec(int(filters), 2 if "s" in marks else 1, "p" in marks)


def image_of(shape: tuple[int, ...], wanted_by: str = "conv") -> tuple[Maps, bool]:
    """Return the channels, height and width of images of a shape, and True if their channels come last.

    Where both the first and the last size could be the channels, it is the last. Raises :class:`UserError`, which names
    the setting ``wanted_by``, for rows that are not images.
    """
    if len(shape) == 2:
        return (1, *shape), False
    if len(shape) == 3 and shape[2] in CHANNELS:
        return (shape[2], *shape[:2]), True
    if len(shape) == 3 and shape[0] in CHANNELS:
        return (shape[0], *shape[1:]), False
    raise UserError(
        f"{wanted_by}: the rows have shape {shape}, and are no images; expected (height, width), (height, width, channels) or "
        f"(channels, height, width). Leave {wanted_by} out, or take data that keep their shape"
    )
