"""What limits a build on a cluster: shares measured here, and a simulation of 1 to 64 workers.

Measured from real calls, on one thread:

    extraction   rows/s of one copy of a model, by `residuals` on the parts of a text
    transfer     rows/s of activations of width 2,304, float32, from a Ray process to this one
    deciding     rows/s of the first pass at K = 1,000 and 20,000, by `Leaders` and its bookkeeping

Simulated: the real `in_order` on a pool with a clock of its own. Workers take parts as `Workers`
gives them, results share one link, and one coordinator decides every row of every layer in order.
A row is one activation of one layer. GPUs are not measured: `GPU` is an assumption. Exemplars
divided over devices, and layers over coordinators, are simulated only: neither is built.

    python -m benchmarks.scaling [MODEL TEXT LAYER…]
"""

from __future__ import annotations

import heapq
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import leaders as clustering
from ep.cluster import connecting
from ep.cluster.extractor import AHEAD
from ep.cluster.ordering import in_order
from ep.cluster.worker import Packed, packed, unpacked
from ep.cluster.workers import IN_FLIGHT
from ep.corpus import Corpus
from ep.method.leaders import Leaders
from ep.method.members import ArrivalMembers, VoronoiMembers
from ep.models import Assembly, load
from ep.models.extraction import residuals

MODEL, TEXT, LAYERS = "data/demo/models/base", "data/demo/text/mixed.jsonl", (4,)
WORKERS = (1, 2, 4, 8, 16, 32, 64)
PARTS = 400
"""Parts of one simulated build."""
SIZES = {1_000: 0.85, 20_000: 0.55}
"""K, and the threshold at which the stream of `benchmarks.leaders` founds so many regions."""
ROUNDS = 20
"""Batches, of which the fastest counts: other programs may be at work."""


@dataclass(frozen=True)
class Node:
    """A kind of worker.

    rows: it makes in a second, of all layers. part: rows of a part, likewise. layers: how many.
    """

    name: str
    rows: float
    part: int
    layers: int


GPU = Node("GPU, six layers (assumed)", 25_000.0, 6 * 16_512, 6)
"""Eight of them make 200,000 rows/s."""


class Clock:
    """A pool whose time is simulated.

    seconds: that a worker takes for a part. transfer: that the link takes.
    """

    def __init__(self, workers: int, seconds: float, transfer: float) -> None:
        self.now = self.link = 0.0
        self.seconds, self.transfer = seconds, transfer
        self.free = [0.0] * workers
        self.tasks = [0] * workers
        self.coming: list[tuple[float, int, int]] = []

    def has_room(self) -> bool:
        """As `Workers.has_room`."""
        return min(self.tasks) < IN_FLIGHT

    def submit(self, number: int, _: int) -> None:
        """Give a part to the worker that has the fewest."""
        worker = self.tasks.index(min(self.tasks))
        self.tasks[worker] += 1
        self.free[worker] = max(self.now, self.free[worker]) + self.seconds
        self.link = max(self.link, self.free[worker]) + self.transfer
        heapq.heappush(self.coming, (self.link, number, worker))

    def finished(self) -> dict[int, float]:
        """Go on to the next arrival."""
        self.now = max(self.now, self.coming[0][0])
        arrived = {}
        while self.coming and self.coming[0][0] <= self.now:
            at, number, worker = heapq.heappop(self.coming)
            self.tasks[worker] -= 1
            arrived[number] = at
        return arrived


def simulated(node: Node, workers: int, transfer: float, deciding: float) -> dict[str, Any]:
    """Return rows/s of a pass, and the share of the time in which the coordinator decides.

    transfer, deciding: rows/s of the link, and of the coordinator.
    """
    pool = Clock(workers, node.part / node.rows, node.part / transfer)
    busy = node.part / deciding
    for _ in in_order(range(PARTS), pool, AHEAD * workers):
        pool.now += busy
    made = {
        "workers": node.rows * workers,
        "transfer": transfer,
        "deciding": deciding,
    }
    return {
        "rows_per_s": PARTS * node.part / pool.now,
        "decides": PARTS * busy / pool.now,
        "limit": min(made, key=lambda name: made[name]),
    }


def extraction(model: str, text: str, layers: tuple[int, ...]) -> Node:
    """Measure one copy of a model."""
    loaded = load(model)
    batch = next(loaded.tokens.batches(iter(Corpus((text,), 0)), 64, 128))
    parts = list(Assembly(loaded, batch, layers).parts())
    rows = [int(part.keep.sum()) * len(layers) for part in parts]
    residuals(loaded, parts[0])
    start = time.perf_counter()
    for part in parts:
        residuals(loaded, part)
    rate = sum(rows) / (time.perf_counter() - start)
    name = f"1 thread, {Path(model).name}, layers {layers}"
    return Node(name, rate, max(1, sum(rows) // len(rows)), len(layers))


def transfer() -> float:
    """Measure rows/s of width 2,304 in float32 that reach this process from another."""
    import ray

    x = np.random.default_rng(0).normal(size=(1_032, clustering.WIDTH)).astype(np.float32)

    class Source:
        def run(self) -> Packed:
            return packed({0: x}, "float32")

    is_own = connecting.connect(connecting.LOCAL, 1)
    source = ray.remote(Source).remote()
    ray.get(source.run.remote())
    start = time.perf_counter()
    coming = [source.run.remote() for _ in range(50)]
    while coming:
        unpacked(ray.get(coming.pop(0)))
    seconds = time.perf_counter() - start
    if is_own:
        connecting.disconnect()
    return 50 * len(x) / seconds


def deciding(size: int) -> float:
    """Measure rows/s of the first pass at a number of regions."""
    batches = clustering.stream()
    leaders = Leaders(SIZES[size], width=clustering.WIDTH)
    members = ArrivalMembers(clustering.WIDTH), VoronoiMembers(SIZES[size], clustering.CONTEXT)
    while len(leaders) < size:
        clustering.cluster(leaders, *members, *next(batches))
    seconds = []
    for _ in range(ROUNDS):
        rows, events = next(batches)
        start = time.perf_counter()
        clustering.cluster(leaders, *members, rows, events)
        seconds.append(time.perf_counter() - start)
    return clustering.BATCH / min(seconds)  # the machine may be shared


def table(node: Node, link: float, rates: dict[int, float]) -> list[str]:
    """Return the simulation of a kind of worker as lines of Markdown."""
    large = rates[max(rates)]
    columns = {f"K = {size:,}": rate for size, rate in rates.items()}
    columns["the same, exemplars over 8 devices"] = 8 * large
    if node.layers > 1:
        columns[f"the same, layers over {node.layers} coordinators"] = node.layers * large
        columns["the same, both"] = 8 * node.layers * large
    lines = [f"| workers | made | {' | '.join(columns)} |", "|---" * (len(columns) + 2) + "|"]
    for workers in WORKERS:
        cells = [f"{workers}", f"{node.rows * workers:,.0f}"]
        for rate in columns.values():
            found = simulated(node, workers, link, rate)
            cells.append(f"{found['rows_per_s']:,.0f} ({found['limit']})")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main(model: str, text: str, layers: tuple[int, ...]) -> None:
    """Measure, simulate and print."""
    import numba
    import torch

    torch.set_num_threads(1)
    numba.set_num_threads(1)
    node = extraction(model, text, layers)
    link = transfer()
    rates = {size: deciding(size) for size in SIZES}
    measured = {"extraction": node.rows, "transfer": link}
    measured |= {f"deciding K={size}": rate for size, rate in rates.items()}
    print(json.dumps({name: round(rate) for name, rate in measured.items()}))
    for kind in (node, GPU):
        print(f"\n{kind.name}\n\n" + "\n".join(table(kind, link, rates)))


if __name__ == "__main__":
    given = sys.argv[1:]
    if given:
        main(given[0], given[1], tuple(map(int, given[2:])))
    else:
        main(MODEL, TEXT, LAYERS)
