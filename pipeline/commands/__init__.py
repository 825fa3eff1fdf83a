"""One module for each verb, each with a ``command``; the job and the context that they share."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pipeline.console.console import Console
from pipeline.errors import UserError
from pipeline.search.engine import Engine
from pipeline.search.interrupts import Interrupts
from pipeline.storage.stores import Stores, resolve_stores


@dataclass
class Context:
    """The context of a command: the console, the handler of interrupts, the addresses of the two stores, and the study.

    ``study`` is the name or path that the command line gives.
    """

    console: Console
    interrupts: Interrupts
    tracking_uri: str = ""
    storage: str = ""
    study: str = ""

    @cached_property
    def stores(self) -> Stores:
        """The stores; their addresses are checked when they are first needed, which ``check`` never does."""
        return resolve_stores(self.tracking_uri, self.storage)


def given(args: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Return the flags among these that the command line sets; the study decides the others."""
    values = {name: getattr(args, name, None) for name in names}
    return {name: value for name, value in values.items() if value is not None}


@contextmanager
def workers_of(args: argparse.Namespace) -> Iterator[Engine]:
    """Give the body the workers that the flags ask for, on this machine or on a cluster."""
    from pipeline.search.executor import default_workers, engine

    if args.backend == "dask" and not args.scheduler:
        raise UserError("--backend: dask needs the --scheduler of a cluster, like tcp://HOST:8786")
    if args.backend == "loky" and args.scheduler:
        raise UserError("--backend: loky is this machine's workers, and has no --scheduler. Leave out one of them")
    with engine(args.workers or default_workers(), args.scheduler) as workers:
        yield workers
