"""The rules by which a study is searched: when trials are pruned, from which stage to which, and when verdicts are looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import UserError
from pipeline.study.hparams import EPOCHS_LIMIT
from pipeline.validation import check_arguments, check_integer, check_kind, shortened

TRIALS_LIMIT = 1_000_000
"""The most trials of a study."""
LOOKS_LIMIT = 50
"""The most looks at a comparison."""


@dataclass(frozen=True)
class Pruner:
    """The rule that stops trials early.

    Parameters
    ----------
    name
        ``median``, ``successive_halving``, ``hyperband`` or ``threshold``.
    arguments
        The arguments of Optuna's pruner of that name. Default none.
    wave
        The trials of a wave: a trial is compared with those of earlier waves only. Default 16.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    wave: int = 16

    def __post_init__(self) -> None:
        check_kind("pruner", self.name, str)
        check_arguments(f"pruner {self.name!r}", self.arguments)
        check_integer("wave", self.wave, low=1)


@dataclass(frozen=True)
class Stage:
    """One stage of a search from coarse to fine.

    Parameters
    ----------
    epochs
        The epochs of its trials.
    trials
        The trials of each arm in each block; 0 for as many as in the stage before. Default 0.
    """

    epochs: int
    trials: int = 0

    def __post_init__(self) -> None:
        check_integer("stage epochs", self.epochs, low=1, high=EPOCHS_LIMIT)
        check_integer("stage trials", self.trials, low=0)


def checked_looks(looks: tuple[int, ...], blocks: int, max_blocks: int | None) -> tuple[int, ...]:
    """Return the numbers of blocks after which a study is looked at: the given ones, or those up to ``max_blocks``.

    Given looks stay if the number of blocks changes, so that a verdict comes only from declared ones. Raises
    :class:`UserError` for looks that do not increase.
    """
    if max_blocks is not None or not looks:
        last = blocks if max_blocks is None else max_blocks
        check_integer("max_blocks", last, low=blocks, high=TRIALS_LIMIT)
        looks = (*range(blocks, last, blocks), last)
    if not isinstance(looks, tuple):
        raise UserError(f"looks: got {shortened(looks)}; expected numbers of blocks, as in (10, 20, 30)")
    for look in looks:
        check_integer("looks", look, low=1, high=TRIALS_LIMIT)
    if len(looks) > LOOKS_LIMIT or list(looks) != sorted(set(looks)):
        raise UserError(
            f"looks: got {len(looks)}, from {looks[0]} to {looks[-1]} blocks; expected at most {LOOKS_LIMIT} that increase. "
            "Give more blocks for each look, or fewer max_blocks"
        )
    return looks


def check_contrasts(contrasts: Any, arms: Sequence[str]) -> None:
    """Raise :class:`UserError` unless contrasts are different pairs of the names of arms."""
    if not isinstance(contrasts, tuple) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in contrasts):
        raise UserError(
            f'contrasts: got {shortened(contrasts)}; expected pairs of names of arms, as in (("random", "grid"),)'
        )
    for pair in contrasts:
        if pair[0] == pair[1] or not all(name in arms for name in pair):
            raise UserError(f"contrasts: got {shortened(pair)}; expected two different arms of {', '.join(arms)}")
    if len({frozenset(pair) for pair in contrasts}) < len(contrasts):
        raise UserError(f"contrasts: got {shortened(contrasts)}; expected each pair once")
