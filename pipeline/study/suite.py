"""The declaration of a suite: one question, asked by studies on several data sets or spaces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pipeline.errors import UserError
from pipeline.seeds import identity_hash
from pipeline.study.arms import Arm
from pipeline.study.metrics import Metric
from pipeline.study.spec import LONGEST_QUESTION, Study
from pipeline.validation import check_kind, check_name, check_text, did_you_mean

FEWEST_STUDIES = 2


@dataclass(frozen=True, kw_only=True)
class Suite:
    """One question that several studies answer together; a file that ends in ``SUITE = Suite(...)`` is run like a study.

    Parameters
    ----------
    name
        1 to 80 letters, digits, ``_``, ``.`` or ``-``: the name of the suite's run and of its page.
    question
        The question, as a sentence for the page.
    studies
        The studies, each on another data set or in another space. They have the same arms, contrasts, metric and ``delta``,
        and different names. Each is recorded and reported as a study of its own.
    """

    name: str
    question: str
    studies: tuple[Study, ...]

    def __post_init__(self) -> None:
        check_name("suite", self.name)
        check_kind("question", self.question, str)
        check_text("question", self.question, LONGEST_QUESTION)
        check_kind("studies", self.studies, tuple)
        for study in self.studies:
            check_kind("studies", study, Study)
        if len(self.studies) < FEWEST_STUDIES:
            raise UserError(f"studies: got {len(self.studies)}; expected at least {FEWEST_STUDIES}. Run one by itself")
        self._check_names()
        self._check_shared("arms", lambda study: [arm.name for arm in study.arms], lambda study: study.arms)
        self._check_shared("contrasts", lambda study: study.terms["contrasts"])
        self._check_shared("delta", lambda study: study.delta)
        self._check_shared("metric", lambda study: study.objective.name)
        if not self.compared:
            raise UserError(
                f"arms: got {self.studies[0].arms[0].name!r} alone; a suite compares arms. Give at least two"
            )
        self._check_different()

    def _check_names(self) -> None:
        names = [study.name for study in self.studies]
        if repeated := next((name for name in names if names.count(name) > 1), None):
            raise UserError(f"studies: got {repeated!r} twice; expected different names. Rename one of them")
        if self.name in names:
            raise UserError(f"studies: got {self.name!r}, the name of the suite; expected another. Rename one of them")

    def _check_shared(
        self, field: str, shown: Callable[[Study], Any], value: Callable[[Study], Any] | None = None
    ) -> None:
        """Raise :class:`UserError` unless all studies have the same value; ``shown`` is how a message has it."""
        value = value or shown
        first = self.studies[0]
        for study in self.studies[1:]:
            if value(study) != value(first):
                raise UserError(
                    f"{field}: got {shown(study)} in {study.name!r} and {shown(first)} in {first.name!r}; "
                    f"the studies of a suite have the same {field}. Declare them once"
                )

    def _check_different(self) -> None:
        """Refuse two studies of one data set and one space: they would count as two samples, and are one."""
        seen: dict[str, str] = {}
        for study in self.studies:
            place = repr((study.source, study.space.to_json()))
            if place in seen:
                raise UserError(
                    f"studies: {study.name!r} has the data set and the space of {seen[place]!r}; expected another data set or "
                    "space. Give that one more blocks instead"
                )
            seen[place] = study.name

    def study(self, name: str) -> Study:
        """Return the study of that name. Raises :class:`UserError` for an unknown one."""
        by_name = {study.name: study for study in self.studies}
        if name not in by_name:
            raise UserError(
                f"suite {self.name!r}: got study {name!r}; {did_you_mean(name, by_name)}expected one of {', '.join(by_name)}"
            )
        return by_name[name]

    def with_each(self, **overrides: Any) -> Suite:
        """Return the suite with these fields of each study replaced."""
        return replace(self, studies=tuple(replace(study, **overrides) for study in self.studies))

    @property
    def compared(self) -> tuple[tuple[Arm, Arm], ...]:
        """The arms of each contrast, which all studies share."""
        return self.studies[0].compared

    @property
    def delta(self) -> float:
        """The smallest difference of held-out accuracy that matters, which all studies share."""
        return self.studies[0].delta

    @property
    def objective(self) -> Metric:
        """The metric, which all studies share."""
        return self.studies[0].objective

    def to_json(self) -> dict[str, Any]:
        """Return the whole declaration as plain values."""
        return {
            "name": self.name,
            "question": self.question,
            "studies": [study.to_json() for study in self.studies],
        }

    @property
    def hash(self) -> str:
        """Twelve hex digits that stand for the studies and what decides their numbers."""
        return identity_hash({study.name: study.hash for study in self.studies})
