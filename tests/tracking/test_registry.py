"""The champion moves only to a better model, never without an answer, and never away from a version that the user registered."""

import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from pipeline.tracking import Tracker
from pipeline.tracking.registry import _known, _update_champion

NAME = "babysit-made_up"


def make_version(client, **tags):
    """Create a version of the model by hand."""
    return client.create_model_version(NAME, "file:///nowhere", tags=tags, await_creation_for=0)


def champion(client):
    """Return the number of the version that has the alias."""
    return client.get_registered_model(NAME).aliases.get("champion")


@pytest.fixture
def registry(tracker):
    """A client with a registered model that has no version yet."""
    tracker.client.create_registered_model(NAME)
    return tracker.client


@pytest.mark.parametrize("tags", [{}, {"val_accuracy": "good"}, {"val_accuracy": "nan"}], ids=["none", "word", "nan"])
def test_a_champion_of_the_users_stays(tags, registry):
    """A version without a validation accuracy keeps the alias, and the message names it."""
    theirs = make_version(registry, **tags)
    registry.set_registered_model_alias(NAME, "champion", theirs.version)
    said = _update_champion(registry, NAME, make_version(registry, val_accuracy="0.9"), 0.9)
    assert said == "the champion stays version 1, which has no tag val_accuracy to compare"
    assert champion(registry) == theirs.version


def test_the_better_one_is_the_champion(registry):
    """The first version gets the alias, a worse or equal one does not, and a better one gets and keeps it."""
    stays = "version 1 stays the champion: its validation accuracy is as high or higher"
    for accuracy, said, number in ((0.5, "it is the champion", 1), (0.4, stays, 1), (0.5, stays, 1)):
        assert _update_champion(registry, NAME, make_version(registry, val_accuracy=str(accuracy)), accuracy) == said
        assert champion(registry) == number
    best = make_version(registry, val_accuracy="0.6")
    for _ in range(2):
        assert _update_champion(registry, NAME, best, 0.6) == "it is the champion"
    assert champion(registry) == best.version


def test_an_alias_without_a_version_is_given_again(registry):
    """If the champion was deleted, its alias goes to the next model."""
    gone = make_version(registry, val_accuracy="0.9")
    registry.set_registered_model_alias(NAME, "champion", gone.version)
    registry.delete_model_version(NAME, gone.version)
    worse = make_version(registry, val_accuracy="0.1")
    assert _update_champion(registry, NAME, worse, 0.1) == "it is the champion"
    assert champion(registry) == worse.version


def test_a_model_that_was_cut_short_is_ended(tracker, study):
    """Resuming a study ends the model that a kill left PENDING as FAILED; whole ones, the user's and other runs' stay."""
    client, marks = tracker.client, {"trial_run": "x"}
    other = client.create_run(tracker.experiment_id).info.run_id
    made = {
        name: client.create_logged_model(tracker.experiment_id, name=name, source_run_id=run_id, tags=tags).model_id
        for name, run_id, tags in (
            ("ours", tracker.run_id, marks),
            ("whole", tracker.run_id, marks),
            ("by_hand", tracker.run_id, {}),
            ("b", other, marks),
        )
    }
    client.finalize_logged_model(made["whole"], "READY")
    Tracker(tracker.uri).open(study, tracker.run_id)
    found = {name: client.get_logged_model(model_id).status.value for name, model_id in made.items()}
    assert found == {"ours": "FAILED", "whole": "READY", "by_hand": "PENDING", "b": "PENDING"}


@pytest.mark.parametrize("changed", [None, "study_hash", "data_sha256", "network_version", "trial"])
def test_a_version_is_known_by_its_whole_identity(changed, registry):
    """The version of the same study, data, network version and trial is found; one that differs in any of them is not."""
    tags = dict.fromkeys(("study_hash", "data_sha256", "network_version", "trial"), "1")
    version = make_version(registry, **tags)
    found = _known(registry, NAME, tags | ({changed: "2"} if changed else {}))
    assert (found and found.version) == (None if changed else version.version)


@contextmanager
def refusing(server):
    """Yield the address of a proxy for a server, and the list of paths that it refuses, empty at first."""
    refused = []

    class Proxy(BaseHTTPRequestHandler):
        def _pass_on(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if any(path in self.path for path in refused):
                return self._answer(403, b"no entry")
            kind = {"Content-Type": self.headers.get("Content-Type", "application/json")}
            request = urllib.request.Request(server + self.path, body or None, kind, method=self.command)  # noqa: S310
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                    return self._answer(answer.status, answer.read())
            except urllib.error.HTTPError as error:
                return self._answer(error.code, error.read())

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _pass_on  # noqa: N815

        def _answer(self, status, body):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{proxy.server_port}", refused
        finally:
            proxy.shutdown()
            thread.join()


@pytest.mark.slow
def test_nothing_is_decided_without_an_answer(tracking_uri, study, finish, mlflow_server):
    """A refused request is an error: no alias moves, no run counts as missing, and no experiment is created."""
    with mlflow_server(tracking_uri) as server, refusing(server) as (address, refused):
        tracker = Tracker(address)
        tracker.open(study)
        (run_id,) = tracker.record(study, [finish(0)])
        tracker.client.delete_run(run_id)
        direct = MlflowClient(tracking_uri, tracking_uri)
        direct.create_registered_model(NAME)
        best = make_version(direct, val_accuracy="0.9")
        direct.set_registered_model_alias(NAME, "champion", best.version)
        worse = make_version(direct, val_accuracy="0.1")
        again = Tracker(address)
        for path, call in {
            "registered-models/get": lambda: _update_champion(MlflowClient(address, address), NAME, worse, 0.1),
            "model-versions/get": lambda: _update_champion(MlflowClient(address, address), NAME, worse, 0.1),
            "runs/get": lambda: again.open(study, tracker.run_id),
            "runs/restore": lambda: tracker.restore_deleted([run_id]),
            "experiments/get": again.verify,
        }.items():
            refused[:] = [path]
            with pytest.raises(MlflowException, match="403"):
                call()
        refused[:] = ["runs/get"]
        with pytest.raises(MlflowException, match="403"):
            tracker.restore_deleted([run_id])
        refused.clear()
        assert champion(direct) == best.version
        assert tracker.restore_deleted([run_id]) == (1, 0)
