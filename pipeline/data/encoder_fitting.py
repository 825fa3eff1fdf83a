"""Fits the encoding of a table's columns on training rows, with scikit-learn's transformers, and freezes it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.data.columns import CATEGORY, DATE, UNKNOWN, Column
from pipeline.data.encoding import ColumnEncoding, Encoding, date_parts

if TYPE_CHECKING:
    from sklearn.compose import ColumnTransformer

RARE = 5
"""Levels of a category with fewer training rows than this share one input."""
MOST_INPUTS = 100
"""The most inputs of a category; the rarer levels share one."""


def fit(columns: Sequence[Column], train: np.ndarray) -> Encoding:
    """Fit the encoding on the codes (N, C) of training rows."""
    fitted = transformer(columns).fit(train)
    parts = [fitted.named_transformers_[str(place)] for place in range(len(columns))]
    return Encoding(tuple(_frozen(column, part) for column, part in zip(columns, parts, strict=True)))


def transformer(columns: Sequence[Column]) -> ColumnTransformer:
    """Return scikit-learn's transformer of codes (N, C) to inputs (N, M), not fitted."""
    from sklearn.compose import ColumnTransformer

    return ColumnTransformer([(str(place), _part(column), [place]) for place, column in enumerate(columns)])


def _part(column: Column) -> Any:
    from sklearn.impute import MissingIndicator, SimpleImputer
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

    if column.kind == CATEGORY:
        limits = {"min_frequency": RARE, "max_categories": MOST_INPUTS}
        return OneHotEncoder(handle_unknown="infrequent_if_exist", sparse_output=False, **limits)
    if column.kind == DATE:
        median = SimpleImputer(strategy="median", keep_empty_features=True)
        parts = make_pipeline(FunctionTransformer(partial(date_parts, times=column.times)), median)
        return make_union(parts, MissingIndicator(error_on_new=False))  # one indicator of all parts
    return SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)


def _frozen(column: Column, part: Any) -> ColumnEncoding:
    """Return what a fitted transformer has learned, as plain values."""
    if column.kind == CATEGORY:
        return _frozen_category(column, part)
    if column.kind == DATE:
        (_, parts), (_, indicator) = part.transformer_list
        imputer, names = parts[-1], [f"{column.name} {part}" for part in column.parts]
    else:
        imputer, indicator, names = part, part.indicator_, [column.name]
    fill = tuple(float(value) for value in imputer.statistics_)
    missing = bool(len(indicator.features_))
    return ColumnEncoding(column, (*names, f"{column.name} is missing") if missing else tuple(names), fill, missing)


def _frozen_category(column: Column, encoder: Any) -> ColumnEncoding:
    """Return the places of the levels of a category: those that the encoder gives to each of them."""
    codes = np.array([*range(len(column.levels)), np.nan, UNKNOWN])
    inputs = encoder.transform(codes[:, None])
    places = np.where(inputs.any(axis=1), inputs.argmax(axis=1), -1)
    names = [f"{column.name} = {level}" for level in column.levels] + [f"{column.name} is missing"]
    by_place = dict(zip(places[:-1][::-1].tolist(), names[::-1], strict=True))
    if encoder.infrequent_categories_[0] is not None:
        by_place[inputs.shape[1] - 1] = f"{column.name} is rare"
    return ColumnEncoding(
        column, tuple(by_place[place] for place in range(inputs.shape[1])), places=tuple(places.tolist())
    )
