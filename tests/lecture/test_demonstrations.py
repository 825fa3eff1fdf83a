"""The lecture's demonstrations: the fast ones hold here, all of them whole in the slow tests, and none can pass unseen."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from mlflow import MlflowClient

from pipeline.cli.main import main
from pipeline.lecture import demonstrate
from pipeline.lecture.outcome import Claim, Outcome, at_least, at_most, between, near, shown
from pipeline.lecture.random_against_grid import best_of_each
from pipeline.lecture.stack import Scheme, walk
from pipeline.lecture.writer import write
from pipeline.study.experiment import Experiment
from pipeline.study.loading import experiment_names, find_experiment


def wrongs(outcome):
    """The claims that do not hold, in words."""
    return [(claim.experiment, claim.says, claim.seen) for claim in outcome.claims if not claim.holds]


QUICK = {
    "random_against_grid": {"repeats": 4000, "blocks": 2},
    "coarse_to_fine": {"trials": 60},
}


@pytest.mark.parametrize("name", QUICK)
def test_a_quick_demonstration_reproduces_the_lecture(name):
    """What takes little is demonstrated here, from another seed than the declared one."""
    outcome = demonstrate(Experiment(name=name, question="?", demonstration=name, settings=QUICK[name], seed=1))
    assert wrongs(outcome) == []
    assert outcome.pictures
    assert outcome.rows


@pytest.mark.slow
@pytest.mark.parametrize("name", experiment_names())
def test_every_experiment_reproduces_the_lecture(name):
    """Each as it is declared."""
    assert wrongs(demonstrate(find_experiment(name, {}))) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["activations", "preprocessing", "babysitting", "coarse_to_fine", "spiral"])
def test_experiments_hold_from_another_seed(name):
    """What is reproduced is not the luck of one seed."""
    assert wrongs(demonstrate(find_experiment(name, {"seed": 7}))) == []


def test_a_claim_that_does_not_hold_is_said():
    """Each kind of claim fails just past its limit, on NaN too; one of them makes the verdict."""
    good = [
        near("1", "a", 1.0, 1.1, 0.11),
        between("1", "b", 2.0, 2.0, 3.0),
        at_most("1", "c", 1.0, 1.0),
        at_least("1", "d", 1.0, 1.0),
        shown("1", "e", "so", holds=True),
    ]
    bad = [
        near("1", "a", 1.0, 1.2, 0.11),
        between("1", "b", 1.9, 2.0, 3.0),
        at_most("1", "c", 1.1, 1.0),
        at_least("1", "d", 0.9, 1.0),
        shown("1", "e", "not so", holds=False),
        *(near("1", "f", value, 1.0, 0.1) for value in (np.nan, np.inf)),
    ]
    assert all(claim.holds for claim in good)
    assert not any(claim.holds for claim in bad)
    assert Outcome(good, []).verdict == "reproduced"
    assert all(Outcome([*good, claim], []).verdict == "not reproduced" for claim in bad)


def test_the_verdict_is_a_file(tmp_path):
    """``verdict.json`` has each claim with what was seen, numbers that are none left out; tables and pictures lie beside it."""
    experiment = Experiment(name="mine", question="Is it so?", demonstration="preprocessing")
    outcome = demonstrate(experiment)
    outcome = replace(
        outcome, claims=[*outcome.claims, Claim("9", "a|b", "no", holds=False, value=np.nan, note="loose")]
    )
    write(experiment, outcome, tmp_path)
    verdict = json.loads((tmp_path / "verdict.json").read_text())
    assert verdict["verdict"] == "not reproduced"
    assert (verdict["claims_reproduced"], verdict["claims"]) == (len(outcome.claims) - 1, len(outcome.claims))
    assert verdict["each"][-1] == {
        "experiment": "9", "says": "a|b", "seen": "no", "verdict": "not reproduced", "value": None, "note": "loose",
    }  # fmt: skip
    assert "a\\|b" in (tmp_path / "claims.md").read_text()
    with (tmp_path / "table.csv").open() as file:
        assert [row["word"] for row in csv.DictReader(file)] == ["none", "centre", "standardise", "pca", "whiten"]
    svg = (tmp_path / "clouds.svg").read_text()
    assert svg.startswith("<svg xmlns=")
    assert "var(" not in svg
    assert (tmp_path / "clouds.png").read_bytes().startswith(b"\x89PNG")


def test_the_verb_records_what_it_finds(tracking_uri, tmp_path, capsys):
    """One experiment by name, as a study of ``run`` and by ``lecture``: a table, files, and a run with its verdict."""
    assert main(["lecture", "preprocessing"]) == 0
    said = capsys.readouterr().out
    assert "lecture_preprocessing" in said
    assert "1 of 1 experiments reproduced" in said
    assert main(["run", "lecture_preprocessing", "--seed", "2"]) == 0
    client = MlflowClient(tracking_uri=tracking_uri)
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()], "tags.kind = 'experiment'")
    assert [run.info.status for run in runs] == ["FINISHED"] * 2
    for run in runs:
        assert run.data.tags["verdict/lecture_preprocessing"] == "reproduced"
        assert (
            run.data.metrics["lecture_preprocessing/claims"]
            == run.data.metrics["lecture_preprocessing/claims_reproduced"]
        )
        files = {file.path for file in client.list_artifacts(run.info.run_id, "lecture_preprocessing")}
        assert {f"lecture_preprocessing/{name}" for name in ("verdict.json", "clouds.png", "table.csv")} <= files
    assert (tmp_path / "reports" / "lecture" / "lecture_preprocessing" / "verdict.json").is_file()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["lecture", "spirals"], "unknown experiment 'spirals'. Did you mean spiral?"),
        (["lecture", "random_vs_grid"], "is no experiment"),
        (["search", "lecture_spiral"], "there is nothing to search"),
        (["run", "lecture_spiral", "--trials", "3"], "takes a --seed alone"),
    ],
)
def test_a_mistake_is_one_line(words, says, tracking_uri, capsys):
    """It names what is wrong, the exit code is 2, and nothing is recorded."""
    assert main(words) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert MlflowClient(tracking_uri=tracking_uri).search_runs(["0"]) == []


def test_an_unknown_setting_is_refused():
    """It is named, with those that are known."""
    with pytest.raises(ValueError, match=r"unknown setting 'seedz'; expected one of seeds, extra"):
        demonstrate(Experiment(name="x", question="?", demonstration="initialisation", settings={"seedz": 3}))


def test_a_small_stack_collapses_and_saturates():
    """The walk through the layers is that of the formulas: first-layer spreads, and a factor of scale times √fan-in after."""
    schemes = [Scheme("tanh", 0.01), Scheme("tanh", 1.0), Scheme("relu", "he")]
    found = walk(schemes, 0, seeds=2, rows=200, units=100, depth=4)
    small, large, he = (found[scheme].of("std").mean(axis=0) for scheme in schemes)
    np.testing.assert_allclose(small[1:] / small[:-1], 0.01 * np.sqrt(100), rtol=0.05)
    assert found[schemes[1]].of("beyond").min() > 0.7
    assert (large > 0.9).all()
    assert he[0] == pytest.approx(0.826, abs=0.03)
    assert found[schemes[0]].of("dx").shape == (2, 4)
    assert found[schemes[0]].counts.shape == (4, 30)


def test_the_best_of_a_grid_is_that_of_its_points():
    """The simulated grid's best is the function at its nearest level, for a peak as wide as the square."""
    grid, random = best_of_each(np.random.default_rng(0), 2000, 9, 10.0)
    assert grid.mean() == pytest.approx(1 + 0.02 * 5 / 6, abs=2e-3)
    assert random.mean() == pytest.approx(1 + 0.02 * 0.9, abs=2e-3)
