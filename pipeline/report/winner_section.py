"""The winner's section: its scores, its configuration to paste, its curves, the good ranges, and lines to use it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.report.analysis import Analysis
from pipeline.report.figures.winner import winner_figure
from pipeline.report.formatting import count, percent
from pipeline.report.sections import Code, NamedTable, Section
from pipeline.report.winner import Winner, good_ranges
from pipeline.search.refine import best_tenth
from pipeline.study.hparams import HyperParams, TrainConfig, source_text
from pipeline.study.metrics import ACCURACY
from pipeline.study.spec import Study

INDENT = "    "
IMAGES = "channel_mean"
"""The preprocessing that needs the shape of an image."""


def winner_section(analysis: Analysis) -> Iterator[Section]:
    """Yield the winner's section. Its curves, and the lines that need the trained network, come from the provenance."""
    if not (winner := analysis.winner):
        return
    study, frame = analysis.study, analysis.table.frame
    known = analysis.table.provenance.get("winner", {})
    facts = known if known.get("trial") == winner.name else {}
    curves = facts.get("curves")
    yield Section(
        "winner",
        f"The best {'model' if study.model else 'network'}: {winner.name}",
        prose=tuple(_scores(winner, len(frame))),
        plots=(winner_figure(winner.name, curves, winner.best_epoch, winner.metric),) if curves else (),
        tables=(
            NamedTable(
                "good_ranges",
                f"Good values: a range holds nine in ten of the best {best_tenth(len(frame))} of {count(len(frame), 'trial')}",
                good_ranges(winner, study, frame),
            ),
        ),
        codes=tuple(_codes(winner.plan.hparams, study, facts, encoded="columns" in analysis.table.provenance)),
    )


def _scores(winner: Winner, trials: int) -> Iterator[str]:
    metric = winner.metric.title
    yield f"Validation {metric} {winner.validation.text}, the best of {count(trials, 'trial')}."
    yield f"Test {metric} {winner.test.text}."
    yield f"The best validation {metric} of many trials overstates, since it is partly luck. The test rows chose nothing."


def _codes(hparams: Any, study: Study, facts: Mapping[str, Any], *, encoded: bool) -> Iterator[Code]:
    """Yield the configuration, then the lines that train the model again, load it and serve it.

    The classifier takes numbers, so there are no lines that train it on the rows of a table that was ``encoded``.
    """
    kind, other = ("model", "another seed") if study.model else ("network", "other initial weights")
    if study.model:
        plain = f"{study.model}\n{dict(hparams.values)!r}\nseed {hparams.seed}"
        yield Code("Its parameters, and its seed", facts.get("call", plain))
        c = study.config
        rows = f"preprocessing {c.preprocessing}; {c.validation:g} of the rows for validation, {c.test:g} for the test"
        yield Code("The rows that it was trained and scored on", rows, folded=True)
    else:
        yield from _network_codes(hparams, study, facts, encoded=encoded)
    if line := facts.get("train"):
        note = f"Train it again and record it: the same values, {other}, and the rows of block 0"
        yield Code(note, line, folded=True)
    if model := facts.get("model"):
        yield Code(f"Load the trained {kind}", _loading_text(facts["tracking"], model), folded=True)
        yield Code(f"Serve the trained {kind}", _serving_text(facts["tracking"], model), folded=True)


def _network_codes(hparams: Any, study: Study, facts: Mapping[str, Any], *, encoded: bool) -> Iterator[Code]:
    yield Code("Its hyperparameters", source_text(hparams, indent=INDENT))
    settings = (hparams, hparams.configured(study.config))
    yield Code("All settings, the defaults too", "\n".join(map(_whole_text, settings)), folded=True)
    if classifier := classifier_text(hparams, study, tuple(facts.get("image_shape", ()))):
        yield Code("The same as a scikit-learn classifier", classifier)
        if not encoded:
            yield Code(_near(study), _training_text(classifier, study), folded=True)


def _whole_text(settings: HyperParams | TrainConfig) -> str:
    return source_text(settings, indent=INDENT, defaults=True)


def classifier_text(hparams: HyperParams, study: Study, image_shape: tuple[int, ...] = ()) -> str:
    """Return the call that makes the winner's classifier; empty if it needs the shape of an image that is not known.

    It keeps the weights of the best epoch by held-out rows, as a trial does, and stops no earlier.
    """
    from pipeline.estimator import NumpyNetworkClassifier  # scikit-learn takes a second to import
    from pipeline.estimator.settings import HYPERPARAMETERS

    config = hparams.configured(study.config)
    needs_shape = bool(hparams.conv) or config.preprocessing == IMAGES
    if needs_shape and not image_shape:
        return ""
    settings = {name: getattr(hparams, name) for name in HYPERPARAMETERS}
    settings |= {name: getattr(config, name) for name in ("batch_size", "preprocessing", "dtype")}
    if config.validation:
        settings |= {"early_stopping": True, "validation_fraction": config.validation}
        settings["n_iter_no_change"] = config.epochs
    settings |= {"max_iter": config.epochs, "random_state": hparams.seed}
    if hparams.class_weight == "none":
        del settings["class_weight"]  # the classifier's default is None
    return source_text(
        NumpyNetworkClassifier(**settings, image_shape=image_shape if needs_shape else ()), indent=INDENT
    )


def _near(study: Study) -> str:
    """Return how the classifier's training differs from the trial's."""
    share = (
        f"holds out {percent(study.config.validation, 0)} of the rows for validation, and "
        if study.config.validation
        else ""
    )
    changed = study.config.augmentation
    plain = f" It does not change training images, as the trial did ({changed})." if changed != "none" else ""
    plain += "" if study.objective is ACCURACY else " It keeps the weights of the best accuracy."
    return (
        f"Train it again on all rows, in Python. The classifier starts from the trial's first weights, {share}takes the others in "
        f"an order of its own: its {study.objective.title} is near the trial's, not equal.{plain}"
    )


def _training_text(classifier: str, study: Study) -> str:
    score = "max(classifier.validation_scores_)" if study.config.validation else "classifier.loss_curve_[-1]"
    return (
        "from pipeline.data.dataset import load_rows\n"
        "from pipeline.estimator import NumpyNetworkClassifier\n\n"
        f"rows = load_rows({study.dataset!r})\n"
        f"classifier = {classifier}\n"
        "classifier.fit(rows.inputs, rows.labels)\n"
        f"print({score})"
    )


def _loading_text(tracking: str, model: str) -> str:
    return (
        "import mlflow\n\n"
        f"mlflow.set_tracking_uri({tracking!r})\n"
        f"model = mlflow.pyfunc.load_model({model!r})\n"
        "print(model.predict(model.input_example))"
    )


def _serving_text(tracking: str, model: str) -> str:
    serve = shlex.join(["mlflow", "models", "serve", "--model-uri", model, "--env-manager", "local", "--port", "5001"])
    return f"MLFLOW_TRACKING_URI={shlex.quote(tracking)} {serve}"
