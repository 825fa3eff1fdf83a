"""The figures of one trained network: its curves, its update ratios, the outputs of its layers, its first weights."""

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
from pipeline.training import Record

ACTIVATION_ROWS, BINS, UNITS_SHOWN = 512, 40, 16


def network_figures(record: Record, data: Dataset) -> list[Plot]:
    """Return the figures of the one trial in a record, which trained on ``data``."""
    network = record.checkpoint
    figures = [_losses(record), _accuracies(record), _update_ratios(record)]
    figures += [_activations(network, data)] if _hidden(network) else []
    return [*figures, *_first_weights(network, data)]


def save_figures(figures: Sequence[Plot], folder: Path) -> None:
    """Write each figure as a PNG, which MLflow shows, and its numbers as a CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    for figure in figures:
        (folder / f"{figure.name}.png").write_bytes(figure.png)
        figure.table.to_csv(folder / f"{figure.name}.csv", index=False, lineterminator="\n")


def _losses(record: Record) -> Plot:
    title = "Loss of the data, by epoch"
    return lines("loss", title, {title: _pair(record, "loss")}, x="epoch", y="loss", rows=_rows(record, "loss"))


def _accuracies(record: Record) -> Plot:
    """Draw training and validation accuracy; the title has the train/val gap at the best epoch."""
    best = int(record.best_epoch[0])
    gap = np.subtract(*(record.curves[f"{part}/accuracy"][0, best - 1] for part in ("train", "val")))
    title = f"Accuracy: a gap of {100 * gap:.1f} points at epoch {best}"
    panels = {title: _pair(record, "accuracy")}
    return lines("accuracy", title, panels, x="epoch", y="accuracy", rows=_rows(record, "accuracy"))


def _update_ratios(record: Record) -> Plot:
    """Draw the size of a step relative to the weights, for each layer; the lecture recommends about 0.001."""
    ratios, epochs = record.layers["update_ratio"][0], _epochs(record)  # (epochs, L)
    drawn: Lines = {f"layer {i + 1}": (epochs, column) for i, column in enumerate(ratios.T)}
    drawn = {**drawn, "one in a thousand": (epochs, np.full(len(ratios), 1e-3))}
    rows = [
        {"epoch": int(epoch), "layer": i + 1, "update_ratio": ratio}
        for i, column in enumerate(ratios.T)
        for epoch, ratio in zip(epochs, column, strict=True)
    ]
    title = "|update| / |weights| of a step in each epoch"
    return lines("update_ratio", title, {title: drawn}, x="epoch", y="ratio", rows=rows, log_y=True)


def _activations(network: Network, data: Dataset) -> Plot:
    """Draw the outputs of each hidden layer for validation rows, or for training rows where there is no validation split."""
    outputs = _outputs(network, (data.val if len(data.val) else data.train).inputs[:ACTIVATION_ROWS])
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
    """Yield the weights into the first-layer units with the largest norms as images, where the inputs are images."""
    if not isinstance(network.layers[0], Dense):
        return
    try:
        (channels, height, width), last = image_of(data.shape, "first weights")
    except UserError:  # the inputs are not images
        return
    weights = network.params.weights[0][0].T
    norms = np.linalg.norm(weights, axis=1)
    longest = np.argsort(-norms, kind="stable")[:UNITS_SHOWN]
    shaped = weights[longest].reshape(-1, *((height, width, channels) if last else (channels, height, width)))
    pictures = shaped if last else np.moveaxis(shaped, 1, -1)
    rows = [{"unit": int(unit), "norm": norms[unit]} for unit in longest]
    yield images("first_weights", "Weights into first-layer units, the longest first", {"": pictures.squeeze()}, rows)


def _pair(record: Record, kind: str) -> Lines:
    return {part: (_epochs(record), record.curves[f"{part}/{kind}"][0]) for part in ("train", "val")}


def _rows(record: Record, kind: str) -> list[dict[str, str | float]]:
    pair = zip(record.curves[f"train/{kind}"][0], record.curves[f"val/{kind}"][0], strict=True)
    return [{"epoch": i + 1, "train": train, "val": val} for i, (train, val) in enumerate(pair)]


def _epochs(record: Record) -> Array:
    return np.arange(1, record.epochs + 1)
