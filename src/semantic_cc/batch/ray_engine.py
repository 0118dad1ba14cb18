"""The work done by Ray Data: a pool of actors on this machine or on a cluster, each with the model loaded."""

from __future__ import annotations

import logging
import math
import os
import pickle
from collections.abc import Generator, Sequence
from importlib.util import find_spec
from typing import Any

from semantic_cc.batch.local_engine import Make
from semantic_cc.batch.manifest import ManifestEntry
from semantic_cc.batch.pair_worker import PairOutcome
from semantic_cc.errors import InputError, SemanticCCError

ADDRESS = "RAY_ADDRESS"
"""Environment variable with the cluster's address; without it Ray starts on this machine."""


def check_ray() -> None:
    """Raises `InputError` where the extra `ray` is not installed."""
    if find_spec("ray") is None:
        raise InputError("--engine ray needs one more library: pip install 'semantic-cc[ray]'")


def over_ray(entries: Sequence[ManifestEntry], make: Make, workers: int) -> Generator[PairOutcome]:
    """Outcomes as they come, from `workers` actors of one CPU each, and a share of a GPU where there is one.

    Ray replaces an actor that dies, and has its pair begun again, `TRIES` times in all. Where the cluster has room for
    fewer actors, there are fewer.

    Raises:
        InputError: there is no cluster at `ADDRESS`.
        SemanticCCError: Ray gives up.
    """
    if not entries:
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported unless the user asks for it
    import ray

    ours = not ray.is_initialized()
    if ours:
        # One CPU more than the actors take, for Ray Data's own tasks.
        local: dict[str, Any] = {} if os.environ.get(ADDRESS) else {"num_cpus": workers + 1}
        try:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, **local)
        except (ConnectionError, ray.exceptions.RayError) as error:
            where = os.environ.get(ADDRESS, "this machine")
            raise InputError(
                f"cannot connect to Ray at {where}; check {ADDRESS}, and RAY_AUTH_TOKEN if the cluster needs a token"
            ) from error
    try:
        yield from _outcomes(entries, make, workers)
    except ray.exceptions.RayError as error:
        reason = " ".join(str(error).split())[:300]
        raise SemanticCCError(
            f"Ray stopped ({reason}); finished pairs are kept, run the same command again"
        ) from error
    finally:
        if ours:
            ray.shutdown()


class _Actor:
    def __init__(self, make: Make) -> None:
        self._worker = make()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"outcome": pickle.dumps(self._worker(pickle.loads(row["entry"])))}


def _outcomes(entries: Sequence[ManifestEntry], make: Make, workers: int) -> Generator[PairOutcome]:
    import ray

    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    rows = [{"entry": pickle.dumps(entry)} for entry in entries]
    gpus = ray.cluster_resources().get("GPU", 0)
    # A block for each pair: what an actor that dies takes with it, and what comes back at once.
    results = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
        _Actor,
        fn_constructor_args=(make,),
        compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1),
        num_cpus=1,
        num_gpus=1 / math.ceil(workers / gpus) if gpus else 0,
    )
    for row in results.iter_rows():
        outcome: PairOutcome = pickle.loads(row["outcome"])
        yield outcome
