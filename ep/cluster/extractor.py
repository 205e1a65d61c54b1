"""The extractor that runs parts on the workers of a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ep.cluster import connecting
from ep.cluster.ordering import in_order
from ep.cluster.worker import Packed, Setup, facts, unpacked
from ep.cluster.workers import Workers, machines
from ep.config import BuildConfig
from ep.errors import ConfigError
from ep.models import LanguageModel, LocalExtractor
from ep.models.extraction import Part, Residuals

AHEAD = 4
"""Parts for each worker that may be begun and not yet decided."""


def check_cluster(config: BuildConfig) -> None:
    """Raise, within seconds, where the cluster that the settings name cannot be reached.

    Errors as `ep.cluster.connecting.check_address`.
    """
    if config.ray is not None:
        connecting.check_address(config.ray)


class RayExtractor:
    """Runs parts on copies of a model, each in a process of a Ray cluster.

    config: of the build; its `ray` and `ray_workers` say where, and on how many.
    model: the copy of this process, which all others must equal.
    local: what runs it here, which is closed with this; by default its bridge.

    Raises ServiceError for a cluster that cannot be joined or has no room, and ConfigError for more
    workers than it can hold and for workers of another version, model or device.
    """

    def __init__(
        self, config: BuildConfig, model: LanguageModel, local: LocalExtractor | None = None
    ) -> None:
        self._local = local or LocalExtractor(model)
        self._is_running = False
        self._is_own = connecting.connect(config.ray or connecting.LOCAL, config.ray_workers)
        try:
            count, processors, gpus = _shares(config.ray_workers, model.device.startswith("cuda"))
            setup, ours = Setup.of(config, model), facts(model, config.layers, self._local.runner)
            self.workers = Workers(setup, ours, count, processors, gpus)
        except BaseException:
            self._disconnect()
            raise

    def extract(self, parts: Iterable[Part]) -> Iterator[tuple[Part, Residuals]]:
        """Yield each part with its residuals, see `Extractor`.

        A call within another, for a part whose stored activations are damaged, runs here.
        """
        if self._is_running:
            yield from self._local.extract(parts)
            return
        self._is_running = True
        self.workers.begin()
        ahead = AHEAD * len(self.workers.copies)
        try:
            for part, values in in_order(parts, _Sparing(self.workers), ahead):
                yield part, unpacked(values)
        finally:
            self._is_running = False

    def close(self) -> None:
        """End the workers, and the connection where it was made for them."""
        self.workers.close()
        self._disconnect()
        self._local.close()

    def _disconnect(self) -> None:
        if self._is_own:
            connecting.disconnect()


class _Sparing:
    """The workers, without the parts of which no layer is wanted: those are done at once."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._done: dict[int, Packed] = {}

    def has_room(self) -> bool:
        return self._workers.has_room()

    def submit(self, number: int, part: Part) -> None:
        if part.layers:
            self._workers.submit(number, part)
        else:
            self._done[number] = {}

    def finished(self) -> dict[int, Packed]:
        done, self._done = self._done, {}
        return done or self._workers.finished()


def _shares(wanted: int | None, on_gpus: bool) -> tuple[int, int, int]:
    """Return how many workers the cluster is to hold, and the processors and GPUs of each.

    wanted: as many as were asked for. Raises ConfigError for more than there is room for.
    """
    import ray

    found = machines(ray.nodes())
    kind = "GPU" if on_gpus else "CPU"
    room = int(sum(machine.get(kind, 0) for machine in found))
    count = wanted or (room if on_gpus else len(found))
    if not count or count > room:
        raise ConfigError(
            f"ray_workers is {wanted or 'not given'}: the cluster has {room} {kind}s, and a worker "
            f"needs one; ask for at most that{', or give --device cpu' if on_gpus else ''}"
        )
    if on_gpus:
        return count, 1, 1
    return count, _processors(count, [int(machine["CPU"]) for machine in found]), 0


def _processors(count: int, of_machines: list[int]) -> int:
    """Return the most processors that each of so many workers can have, on these machines."""
    fits = (n for n in range(max(of_machines), 0, -1) if sum(m // n for m in of_machines) >= count)
    return next(fits)
