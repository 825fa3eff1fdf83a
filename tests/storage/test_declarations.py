"""A verdict relies on the declaration that was recorded before the first trial."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pipeline.cli.main import main
from pipeline.storage.declarations import DECLARATIONS, declared_terms, with_declaration
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.loading import find_study
from pipeline.study.spec import Arm
from studies.random_vs_grid import STUDY

BASIS = {"network_version": 0, "data_sha256": ""}


@pytest.fixture
def small(tiny_study):
    """Return the path of a study of 6 blocks with two arms of two trials of one epoch."""
    text = tiny_study.read_text().replace(', Arm("grid"))', "), confirm=0").replace("blocks=2", "blocks=6")
    tiny_study.write_text(text.replace("trials=6", "trials=2").replace("epochs=2", "epochs=1"))
    return tiny_study


def verdict(folder):
    """Return the label, the sentence and the notes of the last report's verdict."""
    found = json.loads((folder / "reports" / "tiny" / "verdict.json").read_text())
    return found["label"], found["sentences"][0], found["notes"]


def test_a_budget_changed_after_a_verdict_withholds_the_next(small, tmp_path):
    """A pilot of two blocks is noted and the study has a verdict; a later change of the budget or of an arm withholds it."""
    run = ["run", str(small), "--workers", "1", "--no-model", "--skip-checks"]
    assert main(["search", str(small), "--workers", "1", "--blocks", "2"]) == 0
    assert main(run) == 0
    label, _, notes = verdict(tmp_path)
    assert label != "withheld"
    assert notes[0].startswith("A pilot of 2 blocks of 2 trials for each arm came before the declaration")
    assert main([*run, "--trials", "3"]) == 0
    assert "the budget was changed from 2 to 3 trials after the declaration" in verdict(tmp_path)[1]
    small.write_text(small.read_text().replace('Arm("shifted_grid")', 'Arm("grid")').replace("confirm=0", "delta=0.01"))
    assert main(["search", str(small), "--workers", "1"]) == 0
    assert main(["report", str(small), "--no-model"]) == 0
    label, sentence, _ = verdict(tmp_path)
    assert label == "withheld"
    assert "the difference that matters was changed from 0.5 to 1 point after the declaration" in sentence
    assert "random against grid was not declared before the trials (declared: random against shifted_grid)" in sentence


def test_a_declaration_without_a_trial_leaves_no_trace(tiny_study, tmp_path):
    """A change before the first trial replaces the declaration, and an unchanged declaration is written once."""
    study = find_study(str(tiny_study), {})
    for declared in (study, replace(study, delta=0.02), replace(study, delta=0.02)):
        optuna_store = OptunaStore(declared, str(tmp_path / "optuna.log"))
        optuna_store.open("a-run", BASIS)
    (terms,) = optuna_store.declarations
    assert (terms["after"], terms["delta"], terms["hash"]) == (0, 0.02, study.hash)


def test_an_arm_that_was_left_out_before_the_first_trial_leaves_no_trace(tiny_study, tmp_path):
    """The old declaration in the record of an arm that was left out is ignored."""
    study, store = find_study(str(tiny_study), {}), str(tmp_path / "optuna.log")
    now = replace(study, arms=(Arm("sobol"), *study.arms[1:]))
    for declared in (study, now):
        OptunaStore(declared, store).open("a-run", BASIS)
    optuna_store = OptunaStore(now, store)
    assert [terms["contrasts"] for terms in optuna_store.declarations] == [
        [["sobol", "shifted_grid"], ["sobol", "grid"]]
    ]
    assert optuna_store.declaration == now


def test_blocks_that_were_asked_for_and_taken_back_leave_no_trace(small, tmp_path):
    """A declaration of ten blocks without a trial is ignored, although the records of those blocks still have it."""
    assert main(["search", str(small), "--workers", "1", "--blocks", "2"]) == 0
    pilot, store = find_study(str(small), {"blocks": 2}), str(tmp_path / "optuna.log")
    for blocks in (10, 2):
        OptunaStore(replace(pilot, blocks=blocks), store).open("a-run", BASIS)
    assert [terms["blocks"] for terms in OptunaStore(pilot, store).declarations] == [2]


def test_a_clock_that_was_set_back_does_not_bring_back_an_earlier_declaration(tiny_study, tmp_path, monkeypatch):
    """The declaration that was recorded last holds, although the clock shows an earlier time than for the first."""
    study, store = find_study(str(tiny_study), {}), str(tmp_path / "optuna.log")

    class Clock(datetime):
        times = iter([datetime(2026, 5, 2, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)])

        @classmethod
        def now(cls, tz):  # noqa: ARG003  a clock of two times
            return next(cls.times)

    monkeypatch.setattr("pipeline.storage.declarations.datetime", Clock)
    for blocks in (4, 2):
        OptunaStore(replace(study, blocks=blocks), store).open("a-run", BASIS)
    optuna_store = OptunaStore(replace(study, blocks=4), store)
    assert optuna_store.declaration.blocks == 2
    assert [terms["blocks"] for terms in optuna_store.declarations] == [2]


def test_a_store_from_before_declarations_were_kept_tells_its_last(small, tmp_path):
    """For trials that an older version recorded, their last declaration is the first in the list."""
    assert main(["search", str(small), "--workers", "1"]) == 0
    study, store = find_study(str(small), {}), str(tmp_path / "optuna.log")
    before = OptunaStore(study, store)
    before.open("a-run", BASIS)
    record = {name: value for name, value in study.to_json().items() if name not in ("looks", "contrasts")}
    for opened in before._studies.values():
        opened.set_user_attr(DECLARATIONS, [])
        opened.set_user_attr("declaration", json.dumps(record))
    (alone,) = OptunaStore(study, store).declarations
    OptunaStore(replace(study, delta=0.02), store).open("a-run", BASIS)
    first, second = OptunaStore(study, store).declarations
    assert first == alone
    assert (first["at"], first["after"], first["delta"]) == ("", 0, 0.005)
    assert (first["looks"], first["contrast"]) == ([6], ["random", "shifted_grid"])
    assert (second["after"], second["delta"]) == (24, 0.02)


def entry(study, **changes):
    """A declaration of a study as it is recorded."""
    return {"at": "2026-01-01T00:00:00.000+00:00", "after": 0, "hash": study.hash, **study.terms, **changes}


def older(study, **changes):
    """The same as an older version recorded it: without looks, and with one contrast."""
    terms = {name: value for name, value in entry(study).items() if name not in ("looks", "contrasts")}
    return {**terms, "contrast": [arm.name for arm in study.arms[:2]], **changes}


def test_an_older_declaration_had_one_look_and_one_contrast():
    """It is brought to the form of this version, and keeps the mark of an old one; a newer one stays as it is."""
    (terms,) = declared_terms([older(STUDY)])
    assert (terms["looks"], terms["contrasts"], terms["contrast"]) == ([10], [["random", "grid"]], ["random", "grid"])
    (alone,) = declared_terms([older(STUDY, contrast=["random"])])
    assert alone["contrasts"] == []
    assert declared_terms(declared_terms([older(STUDY), entry(STUDY)])) == [terms, entry(STUDY)]


def test_an_unchanged_study_keeps_its_older_declaration():
    """Resumed by this version, a study of two arms with one look stands by what the older version recorded."""
    study = replace(STUDY, arms=STUDY.arms[:2], max_blocks=10)
    (terms,) = with_declaration({DECLARATIONS: [older(study)]}, study, 50)
    assert terms["contrast"] == ["random", "grid"]
    two = with_declaration({DECLARATIONS: [older(study)]}, replace(study, max_blocks=30), 50)
    assert [("contrast" in terms, terms["looks"]) for terms in two] == [(True, [10]), (False, [10, 20, 30])]


def test_a_study_keeps_the_most_blocks_under_its_declaration():
    """From its first look on more blocks are no other declaration, and fewer later take none back; a pilot is another."""
    recorded, counts = [], []
    for blocks, trials in ((2, 0), (10, 12), (20, 60), (10, 120), (30, 121), (10, 180)):
        study = replace(STUDY, blocks=blocks)
        recorded = with_declaration({DECLARATIONS: recorded}, study, trials)
        counts.append([(terms["after"], terms["blocks"]) for terms in recorded])
    assert counts == [[(0, 2)], *[[(0, 2), (12, most)] for most in (10, 20, 20, 30, 30)]]
    pilot = with_declaration({DECLARATIONS: recorded}, replace(STUDY, blocks=2), 200)
    assert [terms["blocks"] for terms in pilot] == [2, 30, 2]
    assert with_declaration({DECLARATIONS: pilot}, STUDY, 200) == recorded
    other = with_declaration({DECLARATIONS: recorded}, replace(STUDY, trials=20), 200)
    assert [(terms["trials"], terms["blocks"]) for terms in other] == [(108, 2), (108, 30), (20, 10)]


@pytest.mark.parametrize("change", [{"max_blocks": 20}, {"looks": (10, 30)}, {"contrasts": (("random", "grid"),)}])
def test_other_looks_or_contrasts_are_another_declaration(change):
    """Declared after trials were recorded, they are a second declaration; before, they replace the first."""
    assert len(with_declaration({DECLARATIONS: [entry(STUDY)]}, replace(STUDY, **change), 8)) == 2
    (terms,) = with_declaration({DECLARATIONS: [entry(STUDY)]}, replace(STUDY, **change), 0)
    assert {**terms, "at": ""} == {**entry(replace(STUDY, **change)), "at": ""}
