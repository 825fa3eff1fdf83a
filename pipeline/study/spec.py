"""The declaration of a study: its question, search space, arms and budget."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import InitVar, asdict, dataclass, field, fields, replace
from typing import Any, cast

from pipeline.errors import UserError
from pipeline.seeds import identity_hash
from pipeline.study.arms import Arm
from pipeline.study.data_source import RULES, SETTINGS, DataSource, check_data_settings
from pipeline.study.hparams import HyperParams, TrainConfig, plain_fields
from pipeline.study.metrics import ACCURACY, Metric
from pipeline.study.models import ModelParams, check_model
from pipeline.study.search_rules import TRIALS_LIMIT, Pruner, Stage, check_contrasts, checked_looks
from pipeline.study.space import GRID_LIMIT, Categorical, Dimension, Float, Int, Point, Range, SearchSpace
from pipeline.validation import (
    check_integer,
    check_kind,
    check_name,
    check_number,
    check_text,
)

__all__ = [
    "CONFIRM",
    "TRIALS_LIMIT",
    "Arm",
    "Categorical",
    "Dimension",
    "Float",
    "Int",
    "Point",
    "Pruner",
    "Range",
    "SearchSpace",
    "Stage",
    "Study",
]

LONGEST_QUESTION, LONGEST_DATASET = 1000, 255
"""The most characters of each."""
LONGEST_TIMEOUT = 1e9
"""The limit of ``trial_timeout``, in seconds: Python's timers wait for at most about 9e9."""
IDENTITY = ("dataset", "model", "space", "fixed", "config", "seed", "pruner", *SETTINGS)
"""The fields that decide a trial's numbers."""
CONFIRM = 5
"""The number of times that trials of each arm in each block are trained again, by default."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """One question, and all that decides the trials that answer it.

    Parameters
    ----------
    name
        1 to 80 letters, digits, ``_``, ``.`` or ``-``: the name that the study is recorded by.
    question
        The question, as a sentence for the report.
    space
        The hyperparameters that are searched.
    dataset
        The name of the data set. Default ``"digits"``.
    fixed
        The hyperparameters that are not searched. Default ``HyperParams()``; of another model, a dict.
    config
        The settings that all trials share. Default ``TrainConfig()``.
    arms
        The ways of searching. Default ``(Arm("random"), Arm("grid"))``.
    contrasts
        The pairs of arms, by name, that the verdict compares. Default: the first arm against each of the others.
    blocks
        The number of repeats of the comparison, each with its own data split and seeds, which the arms share. Default 10.
    max_blocks
        The most blocks. The comparison is looked at after ``blocks``, after twice as many, and so on, until every
        contrast is decided or this number is reached. Default: ``blocks``, one look.
    looks
        The numbers of blocks after which the comparison is looked at. Default: those of ``blocks`` and ``max_blocks``.
    trials
        The budget: the trials of each arm in each block. Default: the size of the grid.
    delta
        The smallest difference of the metric on test rows that matters, from 0 to below 1. It is declared before the first
        trial. Default 0.005.
    seed
        The seed of all random numbers, below 2⁶⁴. Default 0.
    pruner
        The rule that stops trials early. Only for a study of one arm, since arms are compared by trials that are trained
        to the end. Default None.
    stages
        The stages from coarse to fine. The study itself is the first, with that stage's epochs and trials; ``refine``
        makes each later stage from the one before. Default none.
    confirm
        The number of times that trials of each arm in each block are trained again from other weights, so that the report
        can separate the choice from luck. Likelier choices get more trainings. 0 turns this off. Default 5.
    columns
        The uses of a table's columns by name: ``"drop"``, ``"number"``, ``"category"``, ``"date"`` or ``"date:FORMAT"``.
        Default: recognised from the values.
    groups
        The column whose equal values are never in two splits, such as a patient. Default none.
    order
        The column that orders the rows, such as a date: the last rows are the test split. Default none.
    split
        The column that names each row's split (train, validation, test), or a file with the test split. Default none.
    drop_unlabelled
        Whether rows of a table without a label are left out. Default False: they are refused.
    model
        The import path of a scikit-learn classifier or of a function that fits, as in ``"sklearn.svm:SVC"``, in place of
        the network. ``fixed`` is then a dict, and the space has the model's parameters. Default: the network.
    trial_timeout
        The most seconds of a trial of such a model; 0, the default, is any number.
    metric
        What the study is judged by, a name in ``METRICS``; it sets ``config.metric``. Default: that of ``config``.
    """

    name: str
    question: str
    space: SearchSpace
    dataset: str = "digits"
    fixed: Any = field(default_factory=HyperParams)
    config: TrainConfig = field(default_factory=TrainConfig)
    arms: tuple[Arm, ...] = field(default_factory=lambda: (Arm("random"), Arm("grid")))
    contrasts: tuple[tuple[str, str], ...] = ()
    blocks: int = 10
    max_blocks: InitVar[int | None] = None
    looks: tuple[int, ...] = ()
    trials: int = cast("int", None)  # __post_init__ sets the size of the grid
    delta: float = 0.005
    seed: int = 0
    pruner: Pruner | None = None
    stages: tuple[Stage, ...] = ()
    confirm: int = CONFIRM
    columns: Mapping[str, str] = field(default_factory=dict)
    groups: str = ""
    order: str = ""
    split: str = ""
    drop_unlabelled: bool = False
    model: str = ""
    trial_timeout: float = 0.0
    metric: InitVar[str | None] = None

    def __post_init__(self, max_blocks: int | None, metric: str | None) -> None:
        self._check_kinds()
        self._check_model()
        self._check_grid_size()
        check_name("study", self.name)
        check_text("question", self.question, LONGEST_QUESTION)
        check_text("dataset", self.dataset, LONGEST_DATASET)
        check_data_settings(self.columns, {name: getattr(self, name) for name in RULES})
        if metric is not None:
            self._set_metric(metric)
        if self.stages:
            object.__setattr__(self, "config", replace(self.config, epochs=self.stages[0].epochs))
        if self.trials is None:
            coarse = self.stages[0].trials if self.stages else 0
            object.__setattr__(self, "trials", coarse or self.space.grid_size)
        names = [arm.name for arm in self.arms]
        if not names or len(set(names)) < len(names):
            raise UserError(f"arms: got {names}; expected at least one, with different names")
        if self.pruner and len(names) > 1:
            raise UserError(
                f"pruner: got arms {names}; a comparison trains every trial to the end. Give one arm, or no pruner"
            )
        for name in ("blocks", "trials"):
            check_integer(name, getattr(self, name), low=1, high=TRIALS_LIMIT)
        check_integer("seed", self.seed, low=0, high=2**64 - 1)
        check_integer("confirm", self.confirm, low=0, high=TRIALS_LIMIT)
        object.__setattr__(self, "looks", checked_looks(self.looks, self.blocks, max_blocks))
        check_contrasts(self.contrasts, names)
        most = max(self.blocks, self.looks[-1]) * self.trials * len(self.arms)
        if most > TRIALS_LIMIT:
            raise UserError(f"blocks x trials x arms: got {most:,}; a study has at most {TRIALS_LIMIT:,}. Give fewer")
        check_number("delta", self.delta, low=0.0, below=1.0)
        for name, dimension in self.space.items():
            for value in dimension.grid():
                self.hyperparams({name: value})
        self._check_grids_suffice()

    def _set_metric(self, metric: str) -> None:
        if self.config.metric not in (ACCURACY.name, metric):
            raise UserError(f"metric: got {metric!r}, and config has {self.config.metric!r}. Give one of them")
        object.__setattr__(self, "config", replace(self.config, metric=metric))

    def _check_kinds(self) -> None:
        kinds = {"question": str, "dataset": str, "drop_unlabelled": bool, "space": SearchSpace, "config": TrainConfig}
        for name, kind in kinds.items():
            check_kind(name, getattr(self, name), kind)
        for name, kind in (("arms", Arm), ("stages", Stage)):
            check_kind(name, getattr(self, name), tuple)
            for item in getattr(self, name):
                check_kind(name, item, kind)
        if self.pruner is not None:
            check_kind("pruner", self.pruner, Pruner)

    def _check_model(self) -> None:
        check_number("trial_timeout", self.trial_timeout, low=0.0, below=LONGEST_TIMEOUT)
        if not self.model:
            check_kind("fixed", self.fixed, HyperParams)
            if self.trial_timeout:
                raise UserError(
                    f"trial_timeout: got {self.trial_timeout:g}; only a study's own model may hang. Leave it out"
                )
            self.space.check_names()
            return
        if self.fixed == HyperParams():
            object.__setattr__(self, "fixed", {})
        check_model(self.model, self.fixed, list(self.space))

    def _grids(self) -> list[str]:
        return [arm.name for arm in self.arms if arm.is_grid]

    def _check_grid_size(self) -> None:
        """Refuse a grid that is too large, if an arm searches it or the budget derives from it."""
        size = self.space.grid_size
        if size > GRID_LIMIT and (self._grids() or self.trials is None):
            remedy = "Give fewer levels, or trials and no grid arm"
            raise UserError(f"space: its grid has {size:,} points; the limit is {GRID_LIMIT:,}. {remedy}")

    def _check_grids_suffice(self) -> None:
        size, grids = self.space.grid_size, self._grids()
        count_of_points = f"{size} point{'s' * (size != 1)}"
        if grids and self.trials > size:
            raise UserError(
                f"trials: got {self.trials}; the grid of {grids[0]!r} has {count_of_points}. Give more levels or fewer trials"
            )

    def hyperparams(self, point: Mapping[str, Any], seed: int = 0) -> Any:
        """Return the hyperparameters at a point of the space, with the study's fixed ones.

        They are :class:`HyperParams`, or :class:`~pipeline.study.models.ModelParams` of the study's own model.
        """
        if self.model:
            return ModelParams({**self.fixed, **point}, seed)
        return replace(self.fixed, **point, seed=seed)

    @property
    def source(self) -> DataSource:
        """The data set, with the uses of its columns."""
        columns = tuple(self.columns.items())
        return DataSource(self.dataset, columns, self.groups, self.order, self.split, self.drop_unlabelled)

    @property
    def objective(self) -> Metric:
        """The metric that the study is judged by."""
        return self.config.objective

    @property
    def total_trials(self) -> int:
        """The number of trials of all arms in all blocks."""
        return self.blocks * self.trials * len(self.arms)

    def includes(self, arm: str, block: int, number: int) -> bool:
        """Return True if a trial of that arm, block and number is within the declared budget."""
        return any(arm == a.name for a in self.arms) and block < self.blocks and number < self.trials

    @property
    def compared(self) -> tuple[tuple[Arm, Arm], ...]:
        """The arms of each contrast; the first contrast is the headline. Empty for a study of one arm."""
        arms = {arm.name: arm for arm in self.arms}
        pairs = self.contrasts or [(self.arms[0].name, arm.name) for arm in self.arms[1:]]
        return tuple((arms[first], arms[second]) for first, second in pairs)

    @property
    def headline(self) -> tuple[Arm, ...]:
        """The arms of the first contrast, or the one arm."""
        return self.compared[0] if self.compared else self.arms

    @property
    def terms(self) -> dict[str, Any]:
        """The declared values that the verdict depends on, as plain values."""
        contrasts = [[arm.name for arm in pair] for pair in self.compared]
        budget = {"trials": self.trials, "blocks": self.blocks, "looks": list(self.looks)}
        return {**budget, "delta": self.delta, "contrasts": contrasts, "confirm": self.confirm}

    def to_json(self) -> dict[str, Any]:
        """Return the whole declaration as plain values; :meth:`from_json` is the inverse."""
        record = {f.name: getattr(self, f.name) for f in fields(self)}
        record |= {
            "space": self.space.to_json(),
            "fixed": dict(self.fixed) if self.model else plain_fields(self.fixed),
            "config": plain_fields(self.config),
            "arms": [asdict(arm) for arm in self.arms],
            "pruner": asdict(self.pruner) if self.pruner else None,
            "stages": [asdict(stage) for stage in self.stages],
        }
        result: dict[str, Any] = json.loads(json.dumps(record))
        defaults: dict[str, Any] = {"pruner": None, "stages": [], "confirm": CONFIRM, "contrasts": [], "columns": {}}
        defaults |= {"model": "", "trial_timeout": 0.0, "drop_unlabelled": False}
        for name, default in {**defaults, **dict.fromkeys(RULES, "")}.items():
            if result[name] == default:
                del result[name]  # older versions can then read it
        return result

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Study:
        """Return the study of a record. Raises :class:`UserError` for a record of a newer version.

        A record without looks is of a version that compared the first two arms, once, after all blocks.
        """
        unknown = sorted(set(record) - {f.name for f in fields(cls)})
        if unknown:
            raise UserError(
                f"the record of study {record.get('name')!r} has {', '.join(unknown)}, which this version does not know. "
                "Install the one that wrote it, or give another --storage"
            )
        parsed = {
            "space": SearchSpace.from_json(record["space"]),
            "fixed": record["fixed"] if record.get("model") else HyperParams(**record["fixed"]),
            "config": TrainConfig(**record["config"]),
            "arms": tuple(Arm(**arm) for arm in record["arms"]),
            "pruner": Pruner(**record["pruner"]) if "pruner" in record else None,
            "stages": tuple(Stage(**stage) for stage in record.get("stages", ())),
        }
        first_two = [[arm["name"] for arm in record["arms"][:2]]] if len(record["arms"]) > 1 else []
        contrasts = record.get("contrasts", [] if "looks" in record else first_two)
        parsed |= {"contrasts": tuple(map(tuple, contrasts)), "looks": tuple(record.get("looks", ()))}
        return cls(**{**record, **parsed})

    @property
    def identity(self) -> dict[str, Any]:
        """The values that decide a trial's numbers. The budget, the arms and the question may change: recorded trials stay valid."""
        return {key: value for key, value in self.to_json().items() if key in IDENTITY}

    @property
    def hash(self) -> str:
        """Twelve hex digits that stand for :attr:`identity`."""
        return identity_hash(self.identity)
