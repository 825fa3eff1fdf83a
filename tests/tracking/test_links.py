"""Links into the MLflow UI."""

from urllib.parse import parse_qs, urlsplit

from pipeline.tracking import ui_of


def test_the_link_shows_the_trials(tracker, study, finish):
    """MLflow answers the filter and the order of the link with the study's trials, best first."""
    ids = tracker.record(study, [finish(number) for number in (2, 0, 1)])
    parts = urlsplit(tracker.links(ui_of(tracker.uri)).charts)
    assert (parts.scheme, parts.netloc) == ("http", "127.0.0.1:5000")
    path, query = parts.fragment.split("?")
    assert path == f"/experiments/{tracker.experiment_id}/runs"
    asked = {key: value for key, (value,) in parse_qs(query).items()}
    assert (asked["workflowType"], asked["compareRunsMode"]) == ("machine_learning", "CHART")
    order = f"{asked['orderByKey']} {'ASC' if asked['orderByAsc'] == 'true' else 'DESC'}"
    found = tracker.client.search_runs([tracker.experiment_id], asked["searchFilter"], order_by=[order])
    assert [run.info.run_id for run in found] == [ids[1], ids[2], ids[0]]


def test_a_link_shows_the_trials_of_a_place(tracker):
    """Tags narrow the filter down to an arm and a block."""
    query = parse_qs(urlsplit(tracker.links().trials(arm="grid", block="3")).fragment.split("?")[1])
    start = "tags.kind = 'trial' and tags.arm = 'grid' and tags.block = '3' and tags.`mlflow.parentRunId` = "
    assert query["searchFilter"] == [f"{start}'{tracker.run_id}'"]


def test_the_link_leads_to_the_server(tracker):
    """A link starts with the given server. Without one, it starts as the UI's own. A password is left out."""
    assert tracker.links("http://host:1").charts.startswith("http://host:1/#/experiments/")
    assert tracker.links().run.startswith("#/experiments/")
    assert ui_of("https://me:secret@mlflow.example/") == "https://me:***@mlflow.example"
