"""Finished trials made up by hand, an open tracker on a fresh store, and both of its routes."""

import pytest

from pipeline.hparams import TrainConfig
from pipeline.search.plan import planned_trial
from pipeline.spec import Arm, Categorical, Float, SearchSpace, Study
from pipeline.tracking import Tracker
from pipeline.tracking.bulk_route import BulkRoute
from pipeline.tracking.client_route import ClientRoute
from pipeline.trial import FinishedTrial, TrialResult

EPOCHS = 5
ENDED = 1_700_000_000.25


@pytest.fixture(scope="session")
def study():
    """A study of one log-scaled, one linear and one categorical hyperparameter."""
    return Study(
        name="made_up",
        question="Is it written down?",
        space=SearchSpace(
            learning_rate=Float(1e-3, 10, log=True), momentum=Float(0, 0.9), init=Categorical("he", "xavier", 0.05)
        ),
        config=TrainConfig(epochs=EPOCHS),
    )


@pytest.fixture(scope="session")
def finish(study):
    """Make the n-th finished trial of an arm; keywords replace parts of its result."""

    def make(number, arm="random", **changes):
        point = {"learning_rate": 10.0 ** (number % 4 - 3), "momentum": 0.1 * (number % 7), "init": "he"}
        curve = [(number + 1) / (number + 1 + epoch) for epoch in range(EPOCHS)]
        result = {
            "curves": {f"{split}/{name}": curve for split in ("train", "val") for name in ("loss", "accuracy")},
            "scores": {
                "best/val_accuracy": 1 / (number + 2),
                "best/epoch": 3.0,
                "gap": 0.01 * number,
                "test/accuracy": 0.9,
                "test/loss": 0.3,
                "train/loss": curve[2],
            },
            "diverged": False,
            "epochs": EPOCHS,
            "seconds": 1.5,
            "ended": ENDED + number,
            "n_val": 359,
            "n_test": 359,
            "val_correct": "",
            "test_correct": "",
        }
        return FinishedTrial(planned_trial(study, Arm(arm), 2, number, point), TrialResult(**{**result, **changes}))

    return make


@pytest.fixture
def tracker(tracking_uri, study):
    """A tracker on a fresh SQLite store, with the study's run open."""
    tracker = Tracker(tracking_uri)
    tracker.open(study)
    return tracker


@pytest.fixture(params=["bulk", "client"])
def either(request, tracker):
    """The tracker, on each of its routes in turn."""
    assert isinstance(tracker.writer, BulkRoute)
    if request.param == "client":
        tracker.writer = ClientRoute(tracker.client)
    return tracker
