"""Measure a report: its seconds on one core and its peak memory, with figures, for tables of two sizes.

The tables are synthetic, with the columns of real ones and as many validation examples as digits has. A separate process
with one BLAS thread writes each report.
"""

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

os.environ.pop("OPENBLAS_CORETYPE", None)  # OpenBLAS is left to find its kernels by the processor
os.environ["OPENBLAS_NUM_THREADS"] = "1"
ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "report")]

SIZES = ((10, 108), (20, 833))


def write(blocks: int, trials: int) -> tuple[int, float, float]:
    """Write the report of a study of three arms; return its trials, processor seconds (without imports) and peak MB."""
    from synthetic import make_table

    from pipeline.report.writer import write_report
    from pipeline.study.spec import Arm

    arms = (Arm("random"), Arm("again", "random"), Arm("halton"))
    table = make_table(arms=arms, blocks=blocks, trials=trials, test_noise=0.004)
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        write_report(table, Path(folder))
        seconds = time.process_time() - start
    return len(table.frame), seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(blocks: int, trials: int, repeats: int) -> str:
    """Return the row of the table for one size."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        found = [pool.apply(write, (blocks, trials)) for _ in range(repeats)]
    count, seconds, peak = (median(column) for column in zip(*found, strict=True))
    return f"| {count:,.0f} | {seconds:.1f} | {peak:.0f} |"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1, help="reports of each size (%(default)s)")
    arguments = parser.parse_args()
    print("| trials | s of one core | peak memory, MB |\n|---:|---:|---:|", flush=True)
    for blocks, trials in SIZES:
        print(measure(blocks, trials, arguments.repeats), flush=True)


if __name__ == "__main__":
    main()
