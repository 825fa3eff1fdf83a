"""The command ``lecture``, which runs and records experiments."""

import pytest
from mlflow import MlflowClient

from pipeline.cli.main import main


def test_an_experiment_is_run_and_recorded(tracking_uri, tmp_path, capsys):
    """``lecture NAME`` and ``run NAME`` print a table, write files, and record a run with the verdict."""
    assert main(["lecture", "preprocessing"]) == 0
    printed = capsys.readouterr().out
    assert "lecture_preprocessing" in printed
    assert "1 of 1 experiments reproduced" in printed
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
    """One line names the fault, the exit code is 2, and nothing is recorded."""
    assert main(words) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert MlflowClient(tracking_uri=tracking_uri).search_runs(["0"]) == []
