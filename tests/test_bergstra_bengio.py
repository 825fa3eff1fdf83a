"""Bergstra and Bengio's experiment runs from its declaration to the page over its data sets."""

import json

import pandas as pd
import pytest

from pipeline.cli.main import main


@pytest.mark.slow
def test_the_quick_budget_ends_in_a_verdict_over_data_sets(tmp_path, monkeypatch, capsys):
    """All eight studies are in the verdict, the tables and the figures; the same command again trains nothing."""
    monkeypatch.chdir(tmp_path)
    for trained in (8, 0):
        assert main(["run", "bergstra_bengio", "--quick", "--workers", "2", "--no-model"]) == 0
        printed = capsys.readouterr().out
        assert printed.count("32 trials trained and recorded") == trained
        assert "over 8 data sets" in printed.splitlines()[-2]
    folder = tmp_path / "reports" / "bb_quick"
    experiments, curves = (pd.read_csv(folder / "tables" / f"{name}.csv") for name in ("experiments", "efficiency"))
    assert len(experiments) == 8
    assert curves.groupby("study")["trials"].apply(list).tolist() == [[1, 2, 4, 8]] * 8
    assert {"efficiency.png", "forest_random_grid.png"} <= {file.name for file in (folder / "figures").iterdir()}
    assert json.loads((folder / "verdict.json").read_text())
