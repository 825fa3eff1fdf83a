"""Measure CIFAR-10: an epoch of dense and of convolutional networks, and the memory of its rows.

The dense network, in a group of 32 and alone, is compared with the matrix products of its steps (see ``network.py``) and with
PyTorch; the convolutional ones, alone, with PyTorch. All train on random rows of the true shape: a few epochs, batches of 128,
plain SGD, no validation rows, one thread, PyTorch in both memory formats. Sides take turns; a ratio is taken inside a turn; the
tables give medians of processor seconds.

Memory is the most that a separate process allocates while it loads and preprocesses 60,000 rows, without the rows, which
are mapped from one shared file. Without PyTorch, that side is left out.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
from network import GROUP, THREADS, WORKS, babysit, products, torch_eager

DENSE = WORKS[-1]
EPOCHS = 4
"""Epochs of the convolutional networks: several, since Babysit measures the first loss once before them."""
CONVOLUTIONS = ("16px32p", "16px32px64p")
ROWS = 512
TURNS = 3
EPOCH = 45_000


def convolve(conv: str) -> Callable[[], object]:
    """Return a call that trains Babysit's network with these blocks and batch norm."""
    import numpy as np

    from pipeline.data import Dataset, Split
    from pipeline.study.hparams import HyperParams, TrainConfig
    from pipeline.training import run_epochs
    from pipeline.training.lockstep import make_tiles

    rows = random_rows()
    data = Dataset(Split(*rows), Split(*rows).empty, Split(*rows).empty, 10, shape=(3, 32, 32))
    config = TrainConfig(epochs=EPOCHS, batch_size=128)
    trial = HyperParams(conv=conv, batch_norm=True, hidden=(), learning_rate=0.01)
    return lambda: run_epochs(
        make_tiles([trial], data.features, data.classes, config, data.shape), data, config, np.random.default_rng(0)
    )


def torch_convolve(conv: str, *, channels_last: bool) -> Callable[[], object]:
    """Return the same for PyTorch, module by module."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    order = torch.channels_last if channels_last else torch.contiguous_format
    inputs, labels = (torch.from_numpy(array) for array in random_rows())
    images = inputs.reshape(-1, 3, 32, 32).to(memory_format=order)

    def train() -> None:
        modules, channels = list[nn.Module](), 3
        for block in conv.split("x"):
            filters = int(block.rstrip("p"))
            modules += [nn.Conv2d(channels, filters, 3, padding=1), nn.BatchNorm2d(filters), nn.ReLU()]
            modules += [nn.MaxPool2d(2)] if block.endswith("p") else []
            channels = filters
        model = nn.Sequential(*modules, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))
        model = model.to(memory_format=order)
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        for part in (part for _ in range(EPOCHS) for part in torch.randperm(ROWS).split(128)):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[part]), labels[part]).backward()
            optimizer.step()

    return train


def random_rows():  # noqa: ANN201  a pair of arrays
    """Return random rows of the true shape; their values do not change the time."""
    import numpy as np

    rng = np.random.default_rng(0)
    return rng.standard_normal((ROWS, 3072), dtype="float32"), rng.integers(0, 10, ROWS)


def seconds(work: Callable[[], object]) -> float:
    """Return the processor seconds of a call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def turns(sides: dict[str, Callable[[], object]], per_call: dict[str, int]) -> list[dict[str, float]]:
    """Return the seconds of each side for a network, in turns after a warm-up."""
    for side in sides.values():
        side()
    return [{name: seconds(side) / per_call[name] for name, side in sides.items()} for _ in range(TURNS)]


def one_round() -> dict[str, list[dict[str, float]]]:
    """Return the times of all turns, by network."""
    with_torch = importlib.util.find_spec("torch") is not None
    makers = {"Babysit": babysit(DENSE, GROUP), "Babysit, alone": babysit(DENSE, 1), "bare products": products(DENSE)}
    makers |= {"PyTorch": torch_eager(DENSE)} if with_torch else {}
    found = {DENSE.name: turns({n: call for n, (call, _) in makers.items()}, {n: k for n, (_, k) in makers.items()})}
    for conv in CONVOLUTIONS:
        sides = {"Babysit": convolve(conv)}
        if with_torch:
            sides["PyTorch"] = torch_convolve(conv, channels_last=False)
            sides["PyTorch, channels last"] = torch_convolve(conv, channels_last=True)
        found[f"{conv} with batch norm"] = turns(sides, dict.fromkeys(sides, 1))
    return found


def memory() -> dict[str, float]:
    """Return MiB: the mapped rows, a block of them, and the peak that was allocated to make it."""
    import numpy as np

    from pipeline.data import load_block
    from pipeline.data.cifar import ARCHIVES
    from pipeline.study.hparams import TrainConfig

    with tempfile.TemporaryDirectory() as folder:
        os.environ["BABYSIT_DATA_DIR"] = folder
        archive = ARCHIVES["cifar10"]
        path = Path(folder) / f"cifar10-{archive.file.sha256[:12]}.npy"
        records = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=archive.shape)
        records[:] = np.random.default_rng(0).integers(0, 256, archive.shape, np.uint8)
        records[:, 0] = np.arange(len(records)) % 10
        records.flush()
        tracemalloc.start()
        block = load_block("cifar10", TrainConfig(validation=0.1), 0)
        peak = tracemalloc.get_traced_memory()[1]
    return {"mapped": records.nbytes / 2**20, "block": block.nbytes / 2**20, "peak": peak / 2**20}


def in_a_process(flag: str):  # noqa: ANN201  what it prints
    """Run a part in a separate process, on one thread; BLAS chooses its kernels by the processor."""
    environment = {key: value for key, value in os.environ.items() if key != "OPENBLAS_CORETYPE"}
    environment |= dict.fromkeys(THREADS, "1")
    command = [sys.executable, __file__, flag]
    return json.loads(subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout)


def main() -> None:
    """Print the tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for flag in ("--one-round", "--memory"):
        parser.add_argument(flag, action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one_round or arguments.memory:
        print(json.dumps(one_round() if arguments.one_round else memory()))
        return
    for name, times in in_a_process("--one-round").items():
        rows = DENSE.rows * DENSE.epochs if name == DENSE.name else ROWS * EPOCHS
        print(f"\n{name}\n\n| side | seconds for {EPOCH:,} rows | Babysit takes times as long |\n|---|---:|---:|")
        for side in times[0]:
            cost = median(turn[side] for turn in times) * EPOCH / rows
            ratio = median(turn["Babysit"] / turn[side] for turn in times)
            print(f"| {side} | {cost:.1f} | {ratio:.2f} |")
    if not importlib.util.find_spec("pooch"):
        return  # an environment that has PyTorch and not all that loading takes
    found = in_a_process("--memory")
    print(
        f"\nThe rows, mapped and shared: {found['mapped']:.0f} MiB. Preprocessed: {found['block']:.0f} MiB a process."
    )
    print(f"The most that was allocated on the way: {found['peak']:.0f} MiB.")


if __name__ == "__main__":
    main()
