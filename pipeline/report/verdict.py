"""The verdict: the first of a few fixed rules that matches, and its generated sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.report.comparison import Comparison, Difference
from pipeline.report.curves import Curve
from pipeline.report.formatting import capital, count, ends, point, points, size_and_ends, title
from pipeline.report.intervals import MINIMUM_BLOCKS, SHARE, mean_interval
from pipeline.study.spec import Arm

LABELS = {0: "too few repeats", 1: "withheld", 2: "ahead", 3: "ahead", 4: "equal enough", 5: "not detected"}


@dataclass(frozen=True)
class Verdict:
    """The rule that matched, its label of at most three words, the leading arm or None, and the sentence."""

    rule: int
    label: str
    leader: str | None
    sentence: str

    @property
    def claim(self) -> str | None:
        """The claim about the arms: the leader's name, ``equal``, or None."""
        return self.leader or ("equal" if self.rule == 4 else None)


def decide(comparison: Comparison, delta: float, obstacles: Sequence[str] = ()) -> Verdict:
    """Decide by held-out test accuracy at N*; if validation accuracy contradicts it, no difference is detected.

    Parameters
    ----------
    comparison
        The two arms of the contrast.
    delta
        The smallest difference that matters, declared with the study.
    obstacles
        The reasons to withhold the verdict.
    """
    difference, blocks = comparison.difference, len(comparison.blocks)
    if blocks < MINIMUM_BLOCKS:
        reasons = f" Besides: {'; '.join(obstacles)}." if obstacles else ""
        return _verdict(0, _too_few(comparison, difference) + reasons)
    if obstacles:
        return withheld(obstacles)
    verdict = judge(comparison, difference, delta)
    agrees = validation_verdict(comparison, delta).claim in (None, verdict.claim)
    return verdict if agrees else _undetected(difference)


def withheld(obstacles: Sequence[str]) -> Verdict:
    """Return rule 1, the verdict that is withheld for reasons."""
    return _verdict(1, f"Verdict withheld: {'; '.join(obstacles)}.")


def nothing_to_compare(curve: Curve) -> Verdict:
    """Return the verdict of a study with one arm: what its chosen model scores."""
    blocks = len(curve.blocks)
    size, interval = size_and_ends(mean_interval(curve.test[:, -1], within=SHARE), blocks)
    sentence = (
        f"One arm, so there is nothing to compare: after {count(int(curve.budgets[-1]), 'trial')} the model that "
        f"{title(curve.arm)} chose scores {size}%{interval} on held-out test data, over {count(blocks, 'block')}."
    )
    return Verdict(1, "nothing to compare", None, sentence)


def validation_verdict(comparison: Comparison, delta: float) -> Verdict:
    """Judge by validation accuracy, which is biased upwards because it made the choice."""
    return judge(comparison, comparison.validation_difference, delta, "validation")


def judge(comparison: Comparison, difference: Difference, delta: float, data: str = "held-out test") -> Verdict:
    """Apply rules 2 to 5: ahead, ahead but not usefully, equal enough, not detected."""
    leader = comparison.first if difference.interval.estimate > 0 else comparison.second
    if difference.detected and abs(difference.interval.estimate) >= delta:
        return _verdict(2, _ahead(comparison, difference, leader, data), leader)
    if difference.detected:
        return _verdict(3, _barely_ahead(difference, leader, delta), leader)
    if -delta < difference.narrow.low and difference.narrow.high < delta:
        return _verdict(4, f"Equal enough: the difference is within ±{point(delta)} points.")
    return _undetected(difference)


def _verdict(rule: int, sentence: str, leader: Arm | None = None) -> Verdict:
    return Verdict(rule, LABELS[rule], leader.name if leader else None, sentence)


def _ahead(comparison: Comparison, difference: Difference, leader: Arm, data: str) -> str:
    size, low, high = lead(difference, towards_first=leader is comparison.first)
    blocks = len(comparison.blocks)
    among = f"; {blocks} blocks" if low != high else ""
    return (
        f"{capital(title(leader))} is ahead: after {count(comparison.trials, 'trial')} its chosen model scores "
        f"{size} points higher on {data} data ({ends(low, high, blocks)}{among})."
    )


def _barely_ahead(difference: Difference, leader: Arm, delta: float) -> str:
    return (
        f"{capital(title(leader))} is measurably but not usefully ahead: {point(abs(difference.interval.estimate))} "
        f"points, less than the {point(delta)} declared to matter."
    )


def _undetected(difference: Difference) -> Verdict:
    if not difference.detectable:
        same = f"No difference detected: what the arms chose scored the same in all {len(difference.by_block)} blocks."
        return _verdict(5, same)
    return _verdict(
        5,
        f"No difference detected. This experiment would have found a difference of {point(difference.detectable)} "
        "points four times out of five; smaller ones it could miss.",
    )


def _too_few(comparison: Comparison, difference: Difference) -> str:
    estimate = difference.interval.estimate
    leader = comparison.first if estimate >= 0 else comparison.second
    after, over = count(comparison.trials, "trial"), count(len(comparison.blocks), "block")
    result = (
        f"the model that {title(leader)} chose after {after} scored {point(abs(estimate))} points higher"
        if estimate
        else f"no difference after {after}"
    )
    return (
        f"Too few repeats for a verdict (K of at least {MINIMUM_BLOCKS} needed: with 5 the smallest possible p is "
        f"0.06). What was seen: {result}, over {over}."
    )


def lead(difference: Difference, *, towards_first: bool) -> tuple[str, str, str]:
    """Return the difference and its interval in points, as the lead of the first arm or of the second."""
    estimate, low, high = points(difference.interval)
    return (estimate, low, high) if towards_first else (_minus(estimate), _minus(high), _minus(low))


def _minus(text: str) -> str:
    """Change the sign of a written number, so that both directions show the same digits."""
    zero = not text.strip("\u22120.")
    return text.removeprefix("\u2212") if text.startswith("\u2212") or zero else f"\u2212{text}"
