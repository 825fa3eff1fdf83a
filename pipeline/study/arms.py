"""The arms of a study: the ways of searching its space that it compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.validation import check_arguments, check_kind, check_name

GRIDS = ("grid", "shifted_grid")
"""The samplers that visit the points of a grid."""


@dataclass(frozen=True)
class Arm:
    """One way of searching the space.

    Parameters
    ----------
    name
        The name in records and in the report.
    sampler
        ``random``, ``grid``, ``shifted_grid`` or another sampler of ``pipeline.search.samplers``, or the import path of
        one. Default: the name.
    arguments
        The arguments of the sampler by name, without a seed. Default none.
    """

    name: str
    sampler: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name("arm", self.name)
        check_kind("sampler", self.sampler, str)
        check_arguments(f"arm {self.name!r}", self.arguments)
        object.__setattr__(self, "sampler", self.sampler or self.name)

    @property
    def is_grid(self) -> bool:
        """True if the arm visits the points of a grid, of which there is a fixed number."""
        return self.sampler in GRIDS

    @property
    def exchangeable(self) -> bool:
        """True if the order of its trials is random, so the expected best after n has an exact formula."""
        return self.is_grid or self.sampler == "random"
