"""The words that studies are written in: a search space, the arms that search it, and the question."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, cast

from pipeline.errors import UserError
from pipeline.study.hparams import EPOCHS_LIMIT, HyperParams, TrainConfig, recorded
from pipeline.study.space import GRID_LIMIT, Categorical, Dimension, Float, Point, SearchSpace
from pipeline.validation import (
    check_arguments,
    check_integer,
    check_kind,
    check_name,
    check_number,
    check_text,
)

__all__ = [
    "CONFIRM",
    "GRIDS",
    "TRIALS_LIMIT",
    "Arm",
    "Categorical",
    "Dimension",
    "Float",
    "Point",
    "Pruner",
    "SearchSpace",
    "Stage",
    "Study",
]

GRIDS = ("grid", "shifted_grid")
"""The samplers that visit the points of a grid."""
TRIALS_LIMIT = 1_000_000
"""The trials that a study may have; more is a slip of the pen."""
LONGEST_QUESTION, LONGEST_DATASET = 1000, 255
"""Characters of them."""
CONFIRM = 5
"""So many times what an arm chose is trained again, unless the study says otherwise."""


@dataclass(frozen=True)
class Arm:
    """One way of searching, under the name the report calls it by.

    ``sampler`` is a word of ``pipeline.search.samplers`` (``random``, ``grid``, ``shifted_grid``); left out, it is the name.
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
        """Whether the order of its trials carries no information, so that best-after-n has an exact formula."""
        return self.is_grid or self.sampler == "random"


@dataclass(frozen=True)
class Pruner:
    """Which trials are stopped early: ``median``, ``successive_halving``, ``hyperband`` or ``threshold``, with arguments.

    A trial is held against those of the waves before its own, ``wave`` trials each (``pipeline.search.pruners``).
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
    """One stage of a search from coarse to fine: the epochs of its trials, and how many each arm has in each block.

    Left out, ``trials`` are as many as the stage before had.
    """

    epochs: int
    trials: int = 0

    def __post_init__(self) -> None:
        check_integer("stage epochs", self.epochs, low=1, high=EPOCHS_LIMIT)
        check_integer("stage trials", self.trials, low=0)


@dataclass(frozen=True, kw_only=True)
class Study:
    """One question, and everything that decides the trials that answer it.

    ``trials`` is the budget of each arm in each block; left out, it is the size of the grid.
    A block has its own data split and seeds, shared by the arms. ``delta`` is the smallest difference of held-out
    accuracy that matters, declared before the first trial. ``fixed`` gives the hyperparameters that are not searched.
    ``pruner`` stops trials early, in a study of one arm: arms are compared by trials that were all trained to the end.
    ``stages`` go from coarse to fine: the study itself is the first, with its epochs and trials, and ``refine`` makes
    the others from what the one before found. After the search, what each arm chose in each block is trained again
    ``confirm`` times, from other weights, so that the report can tell the choice from its luck; 0 leaves it be.
    """

    name: str
    question: str
    space: SearchSpace
    dataset: str = "digits"
    fixed: HyperParams = field(default_factory=HyperParams)
    config: TrainConfig = field(default_factory=TrainConfig)
    arms: tuple[Arm, ...] = field(default_factory=lambda: (Arm("random"), Arm("grid")))
    blocks: int = 10
    trials: int = cast("int", None)  # which __post_init__ makes the size of the grid
    delta: float = 0.005
    seed: int = 0
    pruner: Pruner | None = None
    stages: tuple[Stage, ...] = ()
    confirm: int = CONFIRM

    def __post_init__(self) -> None:
        self._check_kinds()
        self._check_grid_size()
        check_name("study", self.name)
        check_text("question", self.question, LONGEST_QUESTION)
        check_text("dataset", self.dataset, LONGEST_DATASET)
        if self.stages:
            object.__setattr__(self, "config", replace(self.config, epochs=self.stages[0].epochs))
        if self.trials is None:
            coarse = self.stages[0].trials if self.stages else 0
            object.__setattr__(self, "trials", coarse or self.space.grid_size)
        names = [arm.name for arm in self.arms]
        if not names or len(set(names)) < len(names):
            raise UserError(f"arms: got {names}; expected at least one, each with a name of its own")
        if self.pruner and len(names) > 1:
            raise UserError(
                f"pruner: got arms {names}; a comparison trains every trial to the end. Give one arm, or no pruner"
            )
        for word in ("blocks", "trials"):
            check_integer(word, getattr(self, word), low=1, high=TRIALS_LIMIT)
        check_integer("seed", self.seed, low=0, high=2**64 - 1)
        check_integer("confirm", self.confirm, low=0, high=TRIALS_LIMIT)
        if self.total_trials > TRIALS_LIMIT:
            raise UserError(f"blocks x trials x arms: got {self.total_trials:,}; a study has at most {TRIALS_LIMIT:,}")
        check_number("delta", self.delta, low=0.0, below=1.0)
        for name, dimension in self.space.items():
            for value in dimension.grid():
                self.hyperparams({name: value})
        self._check_grids_suffice()

    def _check_kinds(self) -> None:
        kinds = {"question": str, "dataset": str, "space": SearchSpace, "fixed": HyperParams, "config": TrainConfig}
        for name, kind in kinds.items():
            check_kind(name, getattr(self, name), kind)
        check_kind("arms", self.arms, tuple)
        for arm in self.arms:
            check_kind("arms", arm, Arm)
        check_kind("stages", self.stages, tuple)
        for stage in self.stages:
            check_kind("stages", stage, Stage)
        if self.pruner is not None:
            check_kind("pruner", self.pruner, Pruner)

    def _grids(self) -> list[str]:
        return [arm.name for arm in self.arms if arm.is_grid]

    def _check_grid_size(self) -> None:
        """A space of many hyperparameters is fine without a grid: where no arm visits it and it is not the budget."""
        size = self.space.grid_size
        if size > GRID_LIMIT and (self._grids() or self.trials is None):
            remedy = "Give fewer levels, or trials and no grid arm"
            raise UserError(f"space: its grid has {size:,} points; the limit is {GRID_LIMIT:,}. {remedy}")

    def _check_grids_suffice(self) -> None:
        size, grids = self.space.grid_size, self._grids()
        if grids and self.trials > size:
            raise UserError(
                f"trials: got {self.trials}; the grid of {grids[0]!r} has {size} points. Give more levels or fewer trials"
            )

    def hyperparams(self, point: Mapping[str, Any], seed: int = 0) -> HyperParams:
        """The trial at a point of the space, with what the study holds fixed."""
        return replace(self.fixed, **point, seed=seed)

    @property
    def total_trials(self) -> int:
        """The number of trials of all arms in all blocks."""
        return self.blocks * self.trials * len(self.arms)

    def budgets(self, arm: str, block: int, number: int) -> bool:
        """Whether a trial of that arm, block and number is within the declared budget."""
        return any(arm == a.name for a in self.arms) and block < self.blocks and number < self.trials

    @property
    def contrast(self) -> tuple[Arm, ...]:
        """The comparison that the verdict is about: the first arm against the second."""
        return self.arms[:2]

    @property
    def terms(self) -> dict[str, Any]:
        """What the verdict is about, which is to be declared before the first trial, as plain values."""
        contrast = [arm.name for arm in self.contrast]
        return {"trials": self.trials, "blocks": self.blocks, "delta": self.delta, "contrast": contrast}

    def to_json(self) -> dict[str, Any]:
        """The whole declaration as plain values; :meth:`from_json` turns it back."""
        record = {f.name: getattr(self, f.name) for f in fields(self)}
        plain: dict[str, Any] = {
            "space": self.space.to_json(),
            "fixed": recorded(self.fixed),
            "config": recorded(self.config),
        }
        plain |= {"arms": [asdict(arm) for arm in self.arms], "pruner": asdict(self.pruner) if self.pruner else None}
        plain |= {"stages": [asdict(stage) for stage in self.stages]}
        result: dict[str, Any] = json.loads(json.dumps({**record, **plain}))
        for name, plain_value in (("pruner", None), ("stages", []), ("confirm", CONFIRM)):
            if result[name] == plain_value:
                del result[name]  # a study without one is written as it was before there were any
        return result

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Study:
        unknown = sorted(set(record) - {f.name for f in fields(cls)})
        if unknown:
            raise UserError(
                f"the record of study {record.get('name')!r} has {', '.join(unknown)}, which this version does not know. "
                "Install the one that wrote it, or give another --storage"
            )
        parsed = {
            "space": SearchSpace.from_json(record["space"]),
            "fixed": HyperParams(**record["fixed"]),
            "config": TrainConfig(**record["config"]),
            "arms": tuple(Arm(**arm) for arm in record["arms"]),
            "pruner": Pruner(**record["pruner"]) if "pruner" in record else None,
            "stages": tuple(Stage(**stage) for stage in record.get("stages", ())),
        }
        return cls(**{**record, **parsed})

    @property
    def identity(self) -> dict[str, Any]:
        """What decides a trial's numbers. The budget, the arms and the wording may change; recorded trials stay valid."""
        return {
            key: value
            for key, value in self.to_json().items()
            if key in ("dataset", "space", "fixed", "config", "seed", "pruner")
        }

    @property
    def hash(self) -> str:
        """Twelve hex digits of the SHA-256 of the canonical JSON of :attr:`identity`."""
        canonical = json.dumps(self.identity, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]
