"""Measure the training of a trial: lockstep groups against scikit-learn, on the same work.

A trial is a 64-50-10 network on digits: 20 epochs, minibatches of 64, one learning rate. Each round is a fresh process with one
BLAS thread that times scikit-learn and every group size in turn. A ratio is taken inside its round; the table gives the
median of the rounds. Babysit's seconds include the validation loss and accuracy of every epoch and the test accuracy;
scikit-learn's are those of ``fit`` alone.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
GROUPS = (1, 16, 32)
LEARNING_RATE = 0.1
WORK = 32
"""Trials that each side trains in a round."""


def seconds(work: Callable[[], object]) -> float:
    """Return the seconds of a call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def round_of_times() -> dict[str, float]:
    """Return the seconds a trial for scikit-learn and for each group size, once each after a warm-up."""
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    from pipeline.data import load_block
    from pipeline.study.hparams import HyperParams, TrainConfig
    from pipeline.training import train

    config = TrainConfig(epochs=20, batch_size=64)
    data = load_block("digits", config, 0)
    warnings.filterwarnings("ignore")  # scikit-learn would rather have more epochs

    def fit(seed: int) -> None:
        network = MLPClassifier(
            hidden_layer_sizes=(50,),
            solver="sgd",
            batch_size=config.batch_size,
            learning_rate_init=LEARNING_RATE,
            momentum=0,
            alpha=0,
            max_iter=config.epochs,
            tol=0,
            n_iter_no_change=config.epochs,
            random_state=seed,
        )
        network.fit(data.train.inputs, data.train.labels)
        if network.n_iter_ != config.epochs:
            raise RuntimeError(f"scikit-learn stopped after {network.n_iter_} epochs")

    def group(size: int) -> None:
        train([HyperParams(learning_rate=LEARNING_RATE, seed=seed) for seed in range(size)], data, config)

    with threadpool_limits(1):
        fit(0)
        group(2)
        times = {"scikit-learn": seconds(lambda: [fit(seed) for seed in range(WORK // 4)]) / (WORK // 4)}
        for size in GROUPS:
            count = WORK // max(size, 4)
            times[str(size)] = seconds(lambda: [group(size) for _ in range(count)]) / (count * size)  # noqa: B023  used here
    return times


def in_a_process() -> dict[str, float]:
    """Run a round in a separate process, whose BLAS chooses its kernels by the processor."""
    environment = {key: value for key, value in os.environ.items() if key != "OPENBLAS_CORETYPE"}
    command = [sys.executable, __file__, "--one-round"]
    environment["PYTHONPATH"] = str(ROOT)
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    times: dict[str, float] = json.loads(result.stdout)
    return times


def main() -> None:
    """Print the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one-round", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one_round:
        print(json.dumps(round_of_times()))
        return
    rounds = [in_a_process() for _ in range(arguments.rounds)]
    print("| trained by | ms a trial | times as fast as scikit-learn |\n|---|---:|---:|")
    for name in ("scikit-learn", *map(str, GROUPS)):
        ratio = median(times["scikit-learn"] / times[name] for times in rounds)
        label = name if name == "scikit-learn" else f"Babysit, groups of {name}"
        print(f"| {label} | {1000 * median(times[name] for times in rounds):.1f} | {ratio:.1f} |")
    print(f"\nMedians of {len(rounds)} rounds, each a process with one BLAS thread.")


if __name__ == "__main__":
    main()
