"""The files of a demonstration."""

import csv
import json
from dataclasses import replace

import numpy as np

from pipeline.lecture import demonstrate
from pipeline.lecture.outcome import Claim
from pipeline.lecture.writer import write
from pipeline.study.experiment import Experiment


def test_the_files_have_claims_numbers_and_figures(tmp_path):
    """``verdict.json`` has each claim, with None for NaN; ``claims.md``, tables and figures are next to it."""
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
