"""The training, validation and test rows of a block: stratified, by groups, in an order, or as the data give them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.data.problems import shown
from pipeline.data.rows import Rows
from pipeline.errors import UserError
from pipeline.seeds import derive_seed
from pipeline.study.hparams import TrainConfig

DRAWS = 100
"""The draws of groups among which the first with every class in every split is taken."""

PARTS = ("training", "validation", "test")
Parts = tuple[np.ndarray, np.ndarray, np.ndarray]
"""The indices of the training, validation and test rows, each in increasing order."""


def split_indices(rows: Rows, config: TrainConfig, seed: int) -> Parts:
    """The indices of the training, validation and test rows, decided by the seed; every class is in every split.

    A given test split is that of every block. ``config.validation`` is then a share of the other rows, and
    ``config.test`` is not used; with a given validation split, neither is. Raises :class:`UserError` if a split lacks a
    class, or has too few rows for all.
    """
    if rows.groups is not None:
        return _by_groups(rows, rows.groups, config, seed)
    if rows.order is not None:
        return _checked(rows, _in_order(rows.order, config), "order")
    count, fixed = len(rows) - rows.test, np.arange(len(rows) - rows.test, len(rows))
    if rows.validation:
        train_rows = count - rows.validation
        return _checked(rows, (np.arange(train_rows), np.arange(train_rows, count), fixed), "split")
    parts = Stratified(rows, count, seed)
    rest, test = (np.arange(count), fixed) if rows.test else parts.divide(np.arange(count), config.test, least=2)
    train, val = parts.divide(rest, config.validation, least=1)
    return _checked(rows, (train, val, test), "split") if rows.test else (train, val, test)


def may_lack_class(rows: Rows, config: TrainConfig) -> bool:
    """Return True if a split in proportion to the classes could lack one of them, so that rows are exchanged.

    Older versions left such splits as they were.
    """
    if rows.groups is not None or rows.order is not None or rows.validation:
        return False
    rarest, count = int(np.bincount(rows.labels[: len(rows) - rows.test]).min()), len(rows) - rows.test
    test = 0 if rows.test else round(config.test * count)
    rest, val = count - test, round(config.validation * count)
    left = rarest * rest // count  # the fewest rows of a class in a part, which has them in proportion
    fewest = [left * val // rest, left * (rest - val) // rest, *([] if rows.test else [rarest * test // count])]
    return min(fewest) < 1


class Stratified:
    """Divides rows so that the classes are in proportion, and each is on both sides."""

    def __init__(self, rows: Rows, count: int, seed: int) -> None:
        self.labels, self.names, self.count, self.seed = rows.labels, rows.class_names, count, seed
        self.classes = rows.classes

    def divide(self, indices: np.ndarray, share: float, least: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows that remain, at least ``least`` of each class, and a share of the whole count."""
        from sklearn.model_selection import train_test_split

        size = round(share * self.count)
        if not self.classes <= size <= len(indices) - self.classes * least:
            raise UserError(
                f"validation, test: {self.count:,} rows in {self.classes} classes: a split of {size} has no room for each "
                "class on both sides. Give other shares, or more rows"
            )
        labels = self.labels[indices]
        counts = np.bincount(labels, minlength=self.classes)
        if counts.min() <= least:
            rarest = shown(self.names[counts.argmin()])
            if not counts.min():
                raise UserError(
                    f"validation, test: class {rarest} is in the given test split alone. Add rows of it to the others, or "
                    "leave them out there"
                )
            raise UserError(f"validation, test: class {rarest} has too few rows for every split. Give more of them")
        first, second = train_test_split(indices, test_size=size, stratify=labels, random_state=self.seed)
        return self._complete(np.sort(first), np.sort(second), least)

    def _complete(self, first: np.ndarray, second: np.ndarray, least: int) -> tuple[np.ndarray, np.ndarray]:
        """Exchange rows until each side has every class; in proportion, a rare class may be on one side alone."""
        rng = np.random.default_rng(derive_seed(self.seed, "rare classes"))
        for label in range(self.classes):
            while np.sum(self.labels[second] == label) < 1:
                first, second = self._exchange(first, second, label, 1, rng)
            while np.sum(self.labels[first] == label) < least:
                second, first = self._exchange(second, first, label, least, rng)
        return first, second

    def _exchange(
        self, giver: np.ndarray, taker: np.ndarray, label: int, least: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return both sides after a row of a class was given for a row of the taker's most frequent class."""
        frequent = np.bincount(self.labels[taker], minlength=self.classes).argmax()
        given = rng.choice(giver[self.labels[giver] == label])
        returned = rng.choice(taker[self.labels[taker] == frequent])
        return (
            np.sort(np.append(giver[giver != given], returned)),
            np.sort(np.append(taker[taker != returned], given)),
        )


def _by_groups(rows: Rows, group_of: np.ndarray, config: TrainConfig, seed: int) -> Parts:
    """Draw the groups of each split. The shares are of the groups."""
    groups = np.unique(group_of)
    sizes = [round(share * len(groups)) for share in (config.validation, config.test)]
    if min(sizes) < 1 or sum(sizes) >= len(groups):
        raise UserError(
            f"groups: got {len(groups)} groups; shares of {config.validation:g} and {config.test:g} leave a split without one. "
            "Give other shares, or more groups"
        )
    for label, name in enumerate(rows.class_names):
        if (count := len(np.unique(group_of[rows.labels == label]))) < len(PARTS):
            raise UserError(
                f"groups: class {shown(name)} is in {count} of them; expected one for each split. Leave it out"
            )
    for parts in _group_draws(group_of, groups, sizes, seed):
        if not _lacking(rows, parts):
            return parts
    raise UserError(
        f"groups: in none of {DRAWS} draws of {len(groups)} groups is every class in every split. Give more groups, or "
        "other shares"
    )


def _group_draws(group_of: np.ndarray, groups: np.ndarray, sizes: list[int], seed: int) -> Iterator[Parts]:
    rng = np.random.default_rng(derive_seed(seed, "groups"))
    for _ in range(DRAWS):
        val, test, train = np.split(rng.permutation(groups), np.cumsum(sizes))
        train_rows, val_rows, test_rows = (np.flatnonzero(np.isin(group_of, part)) for part in (train, val, test))
        yield train_rows, val_rows, test_rows


def _in_order(order: np.ndarray, config: TrainConfig) -> Parts:
    """Return the first, the next and the last rows of an order. Rows of the same place are in one split, the earlier."""
    ranked, count = np.argsort(order, kind="stable"), len(order)
    test = round(config.test * count)
    ends = (count - test - round(config.validation * count), count - test)
    values = order[ranked]
    cuts = [int(np.searchsorted(values, values[end - 1], side="right")) if end else 0 for end in ends]
    train, val, test_rows = (np.sort(part) for part in np.split(ranked, cuts))
    return train, val, test_rows


def _lacking(rows: Rows, parts: Parts) -> str:
    """Return the first split that lacks a class, as a clause; empty if none does."""
    for name, part in zip(PARTS, parts, strict=True):
        counts = np.bincount(rows.labels[part], minlength=rows.classes)
        if counts.min() == 0:
            return f"the {name} split, of {len(part):,} rows, has no row of class {shown(rows.class_names[counts.argmin()])}"
    return ""


def _checked(rows: Rows, parts: Parts, rule: str) -> Parts:
    """Return splits that a rule gave. Raises :class:`UserError` if one of them lacks a class."""
    if lacking := _lacking(rows, parts):
        raise UserError(
            f"{rule}: {lacking}; expected every class in every split. Change the rule, the shares or the rows"
        )
    return parts
