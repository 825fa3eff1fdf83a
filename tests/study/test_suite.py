"""The declaration of a suite: what its studies share, what differs, and how it is loaded."""

from dataclasses import replace

import pytest

from pipeline import Arm, Float, SearchSpace, Study, Suite
from pipeline.cli.main import main
from pipeline.errors import UserError
from pipeline.study.loading import find_declared, find_study

SPACE = SearchSpace(learning_rate=Float(0.01, 1, log=True, levels=2), l2=Float(0, 0.1, levels=2))
IRIS = Study(name="on_iris", question="?", dataset="iris", space=SPACE)
WINE = replace(IRIS, name="on_wine", dataset="wine")

SOURCE = """
from pipeline import Arm, Float, SearchSpace, Study, Suite
SPACE = SearchSpace(learning_rate=Float(0.01, 1, log=True, levels=2), l2=Float(0, 0.1, levels=2))
SUITE = Suite(
    name="tables",
    question="Is random search better on tables?",
    studies=tuple(Study(name=f"on_{data}", question="?", dataset=data, space=SPACE) for data in ("iris", "wine")),
)
"""


@pytest.mark.parametrize(
    ("studies", "reason"),
    [
        ((IRIS,), "studies: got 1; expected at least 2"),
        ([IRIS, WINE], "studies: got .* expected a tuple"),
        ((IRIS, replace(WINE, name="on_iris")), "studies: got 'on_iris' twice"),
        ((IRIS, replace(WINE, name="tables")), "studies: got 'tables', the name of the suite"),
        ((IRIS, replace(WINE, arms=(Arm("random"), Arm("tpe")))), r"arms: got \['random', 'tpe'\] in 'on_wine'"),
        (
            (IRIS, replace(WINE, contrasts=(("grid", "random"),))),
            r"contrasts: got \[\['grid', 'random'\]\] in 'on_wine'",
        ),
        ((IRIS, replace(WINE, delta=0.02)), "delta: got 0.02 in 'on_wine' and 0.005 in 'on_iris'"),
        ((IRIS, replace(IRIS, name="again", seed=1)), "'again' has the data set and the space of 'on_iris'"),
        (tuple(replace(study, arms=(Arm("random"),)) for study in (IRIS, WINE)), "arms: got 'random' alone"),
    ],
)
def test_studies_that_answer_no_common_question_are_refused(studies, reason):
    """Studies share arms, contrasts and delta, and differ in name and in data set or space; the error names the fault."""
    with pytest.raises(UserError, match=reason):
        Suite(name="tables", question="?", studies=studies)


def test_a_suite_and_each_of_its_studies_are_found(tmp_path, monkeypatch):
    """A name or a path is that of the suite, ``SUITE/STUDY`` that of a study; flags replace fields of every study."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tables.py").write_text(SOURCE)
    for name in ("tables", "tables.py", str(tmp_path / "tables.py")):
        suite = find_declared(name, {"seed": 7})
        assert isinstance(suite, Suite)
        assert [(study.name, study.seed) for study in suite.studies] == [("on_iris", 7), ("on_wine", 7)]
        assert find_study(f"{name}/on_wine", {"trials": 3}) == replace(suite.studies[1], seed=0, trials=3)
        with pytest.raises(UserError, match=r"is a suite; expected one study. Give one of .*tables.*/on_iris"):
            find_study(name, {})
        with pytest.raises(UserError, match="got study 'on_wines'; did you mean on_wine"):
            find_study(f"{name}/on_wines", {})
    with pytest.raises(UserError, match="random_vs_grid is no suite"):
        find_study("random_vs_grid/digits", {})


def test_a_file_declares_one_of_both(tmp_path):
    """A file with a study and a suite is refused, since a verb takes one of them."""
    path = tmp_path / "both.py"
    path.write_text(f"{SOURCE}STUDY = SUITE.studies[0]\n")
    with pytest.raises(UserError, match="has STUDY and SUITE"):
        find_declared(str(path), {})


def test_the_help_lists_suites(tmp_path, monkeypatch, capsys):
    """``babysit --help`` shows a suite's question, marked as that of a suite."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "tables.py").write_text(SOURCE)
    with pytest.raises(SystemExit):
        main(["--help"])
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("  tables"))
    assert line.endswith("Is random search better on tables? (a suite)")
