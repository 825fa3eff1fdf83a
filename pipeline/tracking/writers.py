"""The ways to write trials into MLflow, and the choice between them: in bulk where that is known to be right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mlflow.store.tracking.rest_store import RestStore
from mlflow.tracking import MlflowClient

from pipeline.tracking.client_writer import ClientRoute
from pipeline.tracking.run_record import RunRecord


class Route(Protocol):
    """A way to write whole runs into an experiment."""

    def write(self, experiment_id: str, runs: Sequence[RunRecord]) -> list[str]:
        """Write the runs; their ids, in order."""


def choose_route(client: MlflowClient) -> tuple[Route, str]:
    """The route for the client's store, and how it records, in words."""
    store = client._tracking_client.store  # noqa: SLF001  the one way to the store behind a client
    if isinstance(store, RestStore):
        return ClientRoute(client), "one by one, by MLflow's client: it is a server"
    from pipeline.tracking import sql_writer as bulk_route

    if reason := bulk_route.unknown(store):
        return ClientRoute(client), f"one by one, by MLflow's client: {reason}"
    return bulk_route.BulkRoute(store), f"in bulk, as rows of MLflow's schema {bulk_route.revision(store)}"
