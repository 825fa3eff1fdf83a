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
from pipeline.training import TrainingRecord

ACTIVATION_ROWS, BINS, UNITS_SHOWN = 512, 40, 16


def network_figures(record: TrainingRecord, data: Dataset) -> list[Plot]:
    """Return the figures of the one trial in a record, which trained on ``data``."""
    network = record.checkpoint
    loss = _curves_figure(record, "loss", "Loss of the data, by epoch")
    figures = [loss, _accuracy_figure(record), _update_ratio_figure(record)]
    figures += [_activation_figure(network, data)] if _hidden(network) else []
    return [*figures, *_first_weights_figure(network, data)]


def save_figures(figures: Sequence[Plot], folder: Path) -> None:
    """Write each figure as a PNG, which MLflow shows, and its numbers as a CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    for figure in figures:
        (folder / f"{figure.name}.png").write_bytes(figure.png)
        figure.table.to_csv(folder / f"{figure.name}.csv", index=False, lineterminator="\n")


def _accuracy_figure(record: TrainingRecord) -> Plot:
    """Draw training and validation accuracy; the title has the train/val gap at the best epoch."""
    best = int(record.best_epoch[0])
    gap = np.subtract(*(record.curves[f"{part}/accuracy"][0, best - 1] for part in ("train", "val")))
    return _curves_figure(record, "accuracy", f"Accuracy: a gap of {100 * gap:.1f} points at epoch {best}")


def _curves_figure(record: TrainingRecord, kind: str, title: str) -> Plot:
    epochs = np.arange(1, record.epochs + 1)
    curves = {part: record.curves[f"{part}/{kind}"][0] for part in ("train", "val")}
    panel: Lines = {part: (epochs, values) for part, values in curves.items()}
    return lines(kind, title, {title: panel}, x="epoch", y=kind, rows={"epoch": epochs, **curves})


def _update_ratio_figure(record: TrainingRecord) -> Plot:
    """Draw the size of a step relative to the weights, for each layer; the lecture recommends about 0.001."""
    ratios, epochs = record.layer_statistics["update_ratio"][0], np.arange(1, record.epochs + 1)  # (epochs, L)
    panel: Lines = {f"layer {i + 1}": (epochs, column) for i, column in enumerate(ratios.T)}
    panel = {**panel, "one in a thousand": (epochs, np.full(len(ratios), 1e-3))}
    rows = [
        {"epoch": int(epoch), "layer": i + 1, "update_ratio": ratio}
        for i, column in enumerate(ratios.T)
        for epoch, ratio in zip(epochs, column, strict=True)
    ]
    title = "|update| / |weights| of a step in each epoch"
    return lines("update_ratio", title, {title: panel}, x="epoch", y="ratio", rows=rows, log_y=True)


def _activation_figure(network: Network, data: Dataset) -> Plot:
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


def _first_weights_figure(network: Network, data: Dataset) -> Iterator[Plot]:
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
    title, headings = "Weights into first-layer units, the longest first", [f"unit {unit}" for unit in longest]
    yield images("first_weights", title, {"": pictures.squeeze()}, rows, headings)
