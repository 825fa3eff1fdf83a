"""A network's portrait: its curves and the gap between them, how its layers fared, and what its first units look for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pipeline.data import Dataset
from pipeline.errors import UserError
from pipeline.nn.conv_text import image_of
from pipeline.nn.layers import Array, Dense, Nonlinearity, Workspace
from pipeline.nn.network import Network, forward
from pipeline.report.figures.plots import Lines, histograms, images, lines
from pipeline.report.style import Plot
from pipeline.training import TrainingRecord

ROWS, BINS, UNITS = 512, 40, 16


def portrait(record: TrainingRecord, data: Dataset) -> list[Plot]:
    """The pictures of the one trial in a record, which trained on that block of data."""
    network = record.checkpoint
    pictures = [_losses(record), _accuracies(record), _update_ratios(record)]
    pictures += [_activations(network, data)] if _hidden(network) else []
    return [*pictures, *_first_weights(network, data)]


def save_pictures(pictures: Sequence[Plot], folder: Path) -> None:
    """Write each as a PNG, which MLflow shows, with its numbers as CSV beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        (folder / f"{picture.name}.png").write_bytes(picture.png)
        picture.table.to_csv(folder / f"{picture.name}.csv", index=False, lineterminator="\n")


def _losses(record: TrainingRecord) -> Plot:
    title = "Loss of the data, by epoch"
    return lines("loss", title, {title: _pair(record, "loss")}, x="epoch", y="loss", rows=_rows(record, "loss"))


def _accuracies(record: TrainingRecord) -> Plot:
    """The band between the two lines is the train/val gap."""
    best = int(record.best_epoch[0])
    gap = np.subtract(*(record.curves[f"{part}/accuracy"][0, best - 1] for part in ("train", "val")))
    title = f"Accuracy: a gap of {100 * gap:.1f} points at epoch {best}"
    drawn = {title: _pair(record, "accuracy")}
    return lines("accuracy", title, drawn, x="epoch", y="accuracy", rows=_rows(record, "accuracy"))


def _update_ratios(record: TrainingRecord) -> Plot:
    """How far a step moves the weights of each layer, against their size; the lecture wants about a thousandth."""
    ratios = record.layers["update_ratio"][0]  # (epochs, L)
    drawn: Lines = {f"layer {i + 1}": (_epochs(record), column) for i, column in enumerate(ratios.T)}
    drawn = {**drawn, "one in a thousand": (_epochs(record), np.full(len(ratios), 1e-3))}
    rows = [
        {"epoch": int(e), "layer": i + 1, "update_ratio": x}
        for i, c in enumerate(ratios.T)
        for e, x in zip(_epochs(record), c, strict=True)
    ]
    title = "|update| / |weights| of a step in each epoch"
    return lines("update_ratio", title, {title: drawn}, x="epoch", y="ratio", rows=rows, log_y=True)


def _activations(network: Network, data: Dataset) -> Plot:
    """What each hidden layer's units say to validation rows, or to training rows where none are held out."""
    outputs = _outputs(network, (data.val if len(data.val) else data.train).inputs[:ROWS])
    low, high = min(o.min() for o in outputs), max(o.max() for o in outputs)
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    counts = np.array([np.histogram(o, edges)[0] for o in outputs])
    rows = [{"layer": i + 1, "mean": o.mean(), "std": o.std(), "zero": (o == 0).mean()} for i, o in enumerate(outputs)]
    return histograms("activations", "Outputs of each hidden layer", {"trained": counts}, edges, rows)


def _outputs(network: Network, inputs: Array) -> list[Array]:
    signals = forward(network, inputs, Workspace(1, len(inputs), network.params.values.dtype.name), training=False)
    return [signals[layer.index + 1][0] for layer in _hidden(network)]


def _hidden(network: Network) -> list[Nonlinearity]:
    return [layer for layer in network.layers if isinstance(layer, Nonlinearity)]


def _first_weights(network: Network, data: Dataset) -> Iterator[Plot]:
    """The weights into those units of the first layer that have the longest, as images, where the inputs are images."""
    if not isinstance(network.layers[0], Dense):
        return
    try:
        (channels, height, width), last = image_of(data.shape, "portrait")
    except UserError:  # they are none
        return
    weights = network.params.weights[0][0].T
    norms = np.linalg.norm(weights, axis=1)
    longest = np.argsort(-norms, kind="stable")[:UNITS]
    shaped = weights[longest].reshape(-1, *((height, width, channels) if last else (channels, height, width)))
    tiles = shaped if last else np.moveaxis(shaped, 1, -1)
    rows = [{"unit": int(unit), "norm": norms[unit]} for unit in longest]
    yield images("first_weights", "Weights into first-layer units, the longest first", {"": tiles.squeeze()}, rows)


def _pair(record: TrainingRecord, kind: str) -> Lines:
    return {part: (_epochs(record), record.curves[f"{part}/{kind}"][0]) for part in ("train", "val")}


def _rows(record: TrainingRecord, kind: str) -> list[dict[str, str | float]]:
    pair = zip(record.curves[f"train/{kind}"][0], record.curves[f"val/{kind}"][0], strict=True)
    return [{"epoch": i + 1, "train": train, "val": val} for i, (train, val) in enumerate(pair)]


def _epochs(record: TrainingRecord) -> Array:
    return np.arange(1, record.epochs + 1)
