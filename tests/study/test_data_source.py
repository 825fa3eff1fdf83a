"""The settings of a study's data are checked, recorded only if used, and part of its identity."""

import pytest

from pipeline.errors import UserError
from pipeline.study.data_source import DataSource
from pipeline.study.spec import Float, SearchSpace, Study

SPACE = SearchSpace(l2=Float(0, 1))


def study(**settings):
    """A study of a table with these settings."""
    return Study(name="s", question="?", space=SPACE, dataset="t.csv", **settings)


def test_unused_settings_change_no_identity():
    """A study without settings of columns has the record and the hash that it had before there were any."""
    record = study().to_json()
    assert not {"columns", "groups", "order", "split"} & set(record)
    assert study(columns={}, groups="", order="", split="").hash == study().hash


@pytest.mark.parametrize(
    "settings",
    [{"columns": {"id": "drop"}}, {"groups": "p"}, {"order": "d"}, {"split": "x.csv"}, {"drop_unlabelled": True}],
)
def test_used_settings_are_recorded(settings):
    """They are part of the identity, and a record gives the same study back."""
    declared = study(**settings)
    assert declared.hash != study().hash
    assert Study.from_json(declared.to_json()) == declared
    ((name, value),) = settings.items()
    assert getattr(declared.source, name) == (tuple(value.items()) if name == "columns" else value)
    assert declared.source.settings == [name]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"columns": ["id"]}, "columns: got \\['id'\\]; expected uses by name"),
        ({"columns": {"id": "ignore"}}, "columns: got 'ignore' for 'id'; expected one of drop, number, category, date"),
        ({"columns": {"id": "number:%d"}}, "columns: got 'number:%d'"),
        ({"columns": {"id": None}}, "columns: got None"),
        ({"groups": 3}, "groups: got 3; expected text"),
        ({"drop_unlabelled": "yes"}, "drop_unlabelled: got 'yes'"),
        ({"groups": "p", "order": "d"}, "groups: got order as well; the splits follow one rule"),
    ],
)
def test_wrong_settings_are_refused(settings, says):
    """The line names the setting, its value and what is expected."""
    with pytest.raises(UserError, match=says):
        study(**settings)


def test_a_name_alone_is_a_source():
    """A data set's name stands for a source without settings."""
    assert DataSource.of("digits") == DataSource("digits")
    assert DataSource.of("digits").settings == []
