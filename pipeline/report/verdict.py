"""The verdict: fixed rules, the first that matches, in generated words that nobody edits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.report.comparison import Comparison, Difference
from pipeline.report.formatting import capital, count, ends, point, points, title
from pipeline.report.intervals import MINIMUM_BLOCKS
from pipeline.study.spec import Arm

LABELS = {0: "too few repeats", 1: "withheld", 2: "ahead", 3: "ahead", 4: "equal enough", 5: "not detected"}


@dataclass(frozen=True)
class Verdict:
    """Which rule matched, its label of at most three words, the arm that leads (or none) and the sentence."""

    rule: int
    label: str
    leader: str | None
    sentence: str

    @property
    def claim(self) -> str | None:
        """What is claimed of the arms: which leads, that they are equal, or nothing."""
        return self.leader or ("equal" if self.rule == 4 else None)


def decide(comparison: Comparison, delta: float, obstacles: Sequence[str] = ()) -> Verdict:
    """The verdict on held-out test accuracy at N*, unless validation accuracy claims something that contradicts it."""
    seen, blocks = comparison.difference, len(comparison.blocks)
    if blocks < MINIMUM_BLOCKS:
        besides = f" Besides: {'; '.join(obstacles)}." if obstacles else ""
        return _verdict(0, _too_few(comparison, seen) + besides)
    if obstacles:
        return _verdict(1, f"Verdict withheld: {'; '.join(obstacles)}.")
    verdict = judge(comparison, seen, delta)
    return verdict if validation_verdict(comparison, delta).claim in (None, verdict.claim) else _undetected(seen)


def validation_verdict(comparison: Comparison, delta: float) -> Verdict:
    """The same rules on validation accuracy, which the choice itself flatters."""
    return judge(comparison, comparison.validation_difference, delta, "validation")


def judge(comparison: Comparison, seen: Difference, delta: float, data: str = "held-out test") -> Verdict:
    """Rules 2 to 5: ahead, ahead but not usefully, equal enough, not detected."""
    leader = comparison.first if seen.interval.estimate > 0 else comparison.second
    if seen.detected and abs(seen.interval.estimate) >= delta:
        return _verdict(2, _ahead(comparison, seen, leader, data), leader)
    if seen.detected:
        return _verdict(3, _barely(seen, leader, delta), leader)
    if -delta < seen.narrow.low and seen.narrow.high < delta:
        return _verdict(4, f"Equal enough: the difference is within ±{point(delta)} points.")
    return _undetected(seen)


def _verdict(rule: int, sentence: str, leader: Arm | None = None) -> Verdict:
    return Verdict(rule, LABELS[rule], leader.name if leader else None, sentence)


def _ahead(comparison: Comparison, seen: Difference, leader: Arm, data: str) -> str:
    size, low, high = lead(seen, towards_first=leader is comparison.first)
    blocks = len(comparison.blocks)
    among = f"; {blocks} blocks" if low != high else ""
    return (
        f"{capital(title(leader))} is ahead: after {count(comparison.trials, 'trial')} its chosen model scores "
        f"{size} points higher on {data} data ({ends(low, high, blocks)}{among})."
    )


def _barely(seen: Difference, leader: Arm, delta: float) -> str:
    return (
        f"{capital(title(leader))} is measurably but not usefully ahead: {point(abs(seen.interval.estimate))} points, "
        f"less than the {point(delta)} declared to matter."
    )


def _undetected(seen: Difference) -> Verdict:
    if not seen.detectable:
        return _verdict(
            5, f"No difference detected: what the arms chose scored the same in all {len(seen.by_block)} blocks."
        )
    return _verdict(
        5,
        f"No difference detected. This experiment would have found a difference of {point(seen.detectable)} points "
        "four times out of five; smaller ones it could miss.",
    )


def _too_few(comparison: Comparison, seen: Difference) -> str:
    leader = comparison.first if seen.interval.estimate >= 0 else comparison.second
    after, over = count(comparison.trials, "trial"), count(len(comparison.blocks), "block")
    what = (
        f"the model that {title(leader)} chose after {after} scored {point(abs(seen.interval.estimate))} points higher"
        if seen.interval.estimate
        else f"no difference after {after}"
    )
    return (
        f"Too few repeats for a verdict (K of at least {MINIMUM_BLOCKS} needed: with 5 the smallest possible p is "
        f"0.06). What was seen: {what}, over {over}."
    )


def lead(seen: Difference, *, towards_first: bool) -> tuple[str, str, str]:
    """The difference and its interval in points, as the lead of the first arm or of the second."""
    estimate, low, high = points(seen.interval)
    return (estimate, low, high) if towards_first else (_minus(estimate), _minus(high), _minus(low))


def _minus(text: str) -> str:
    """The written number with its sign changed, so that both directions show the same digits."""
    zero = not text.strip("\u22120.")
    return text.removeprefix("\u2212") if text.startswith("\u2212") or zero else f"\u2212{text}"
