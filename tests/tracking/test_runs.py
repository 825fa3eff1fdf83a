"""Searches of runs over all pages of MLflow's answers."""


def test_stray_runs_are_found_on_all_pages(tracker, study, finish, monkeypatch):
    """All stray runs are found in a store that answers two runs at a time."""
    search = tracker.client.search_runs
    monkeypatch.setattr(tracker.client, "search_runs", lambda *a, **k: search(*a, **{**k, "max_results": 2}))
    known, *_ = tracker.record(study, [finish(number) for number in range(5)])
    assert tracker.discard_unknown([known]) == 4
