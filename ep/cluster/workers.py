"""The copies of the model on a cluster: what each works on, and what becomes of one that is lost.

Every copy has a few parts at a time: one that it computes, and one so that it need not wait. When a
process or its machine is lost, its parts go to others and a new copy is started, which must prove
itself like the first. A part that fails on three copies in turn ends the build.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from ep.cluster.worker import Packed, Setup, Worker, difference
from ep.errors import ConfigError, FailureError, ServiceError
from ep.models.extraction import Part

IN_FLIGHT = 2
"""Parts that a worker has at a time."""
ATTEMPTS = 3
"""Failures of one part, or of one copy to start, that are too many."""
PLACE_S = 120.0
"""Seconds in which the cluster must have room for a worker, where none is at work."""
PATIENCE_S = 1.0
"""Seconds after which a wait for results is interrupted, so that signals are noticed."""


@dataclass(eq=False)
class Task:
    """A part on its way. reference: Ray's, once it is with a worker."""

    number: int
    part: Part
    reference: Any = None
    failures: int = 0


@dataclass(eq=False)
class Copy:
    """One worker: Ray's handle, what it is to do, and the references of its start."""

    actor: Any
    machine: Any
    facts: Any
    is_placed: bool = False
    is_ready: bool = False
    begun: float = field(default_factory=monotonic)
    tasks: deque[Task] = field(default_factory=deque)

    @property
    def awaited(self) -> Any:
        """The reference that says something new of it; None where it has nothing to do."""
        if not self.is_placed:
            return self.machine
        if not self.is_ready:
            return self.facts
        return self.tasks[0].reference if self.tasks else None


class Workers:
    """All copies of one model, as a pool of `ep.cluster.ordering`.

    setup: the model. facts: what it must prove, see `ep.cluster.worker.facts`.
    count: how many. processors, gpus: of each.
    """

    def __init__(
        self, setup: Setup, facts: Mapping[str, str], count: int, processors: int, gpus: int
    ) -> None:
        import ray

        self._ray, self._setup, self._facts = ray, setup, dict(facts)
        self._class = ray.remote(Worker).options(num_cpus=processors, num_gpus=gpus)
        self._homeless: deque[Task] = deque()
        self._failed_starts, self._is_begun = 0, False
        self.most_in_flight = 0
        """The most parts that one worker had at a time."""
        self.replaced = 0
        """Workers that were lost and started again."""
        self.copies: list[Copy] = []
        try:
            self.copies += [self._started() for _ in range(count)]
            while not all(copy.is_ready for copy in self.copies):
                self._look()
            self._is_begun = True
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End all workers."""
        for copy in self.copies:
            self._ray.kill(copy.actor)
        self.copies = []

    def begin(self) -> None:
        """Forget the parts of a pass that was left: what comes of them is not waited for."""
        self._homeless.clear()
        for copy in self.copies:
            copy.tasks.clear()

    def has_room(self) -> bool:
        """Return whether a worker can take another part."""
        return not self._homeless and self._freest() is not None

    def submit(self, number: int, part: Part) -> None:
        """Give a part to the worker that has the fewest."""
        self._homeless.append(Task(number, part))
        self._house()

    def finished(self) -> dict[int, Packed]:
        """Wait for a second at most, and return the results that there are by then."""
        return self._look()

    # -- what happens ------------------------------------------------------------------------------

    def _look(self) -> dict[int, Packed]:
        """Wait for something to happen to a worker and deal with it; return what was computed."""
        awaited = {copy.awaited: copy for copy in self.copies if copy.awaited is not None}
        if not awaited:
            return {}
        ready, _ = self._ray.wait([*awaited], num_returns=1, timeout=PATIENCE_S)
        computed: dict[int, Packed] = {}
        for reference in ready:
            computed |= self._deal(awaited[reference], reference)
        self._house()
        self._check_places()
        return computed

    def _deal(self, copy: Copy, reference: Any) -> dict[int, Packed]:
        """Take what a reference holds, which is ready."""
        try:
            value = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:  # its process lives
            self._refused(copy, error)
        except self._ray.exceptions.RayError as error:  # process, machine or connection are lost
            self._lost(copy, error)
        else:
            if not copy.is_placed:
                copy.is_placed, copy.machine = True, value
            elif not copy.is_ready:
                self._check(copy, value)
                copy.is_ready, self._failed_starts = True, 0
            else:
                return {copy.tasks.popleft().number: value}
        return {}

    def _refused(self, copy: Copy, error: Any) -> None:
        """Deal with an exception that a worker raised: of its model, or of one part."""
        why = _line(getattr(error, "cause", None) or error)
        if not copy.is_ready:
            where = f" on {copy.machine}" if copy.is_placed else ""
            raise ConfigError(
                f"a worker cannot start{where} ({why}): every machine of the cluster needs this "
                "version of ep and the same model, by the same path or name"
            )
        self._again(copy.tasks.popleft(), why)

    def _lost(self, copy: Copy, error: Any) -> None:
        """Replace a worker; the part that it was computing may be to blame, the others not."""
        if not copy.is_ready:
            self._failed_starts += 1
            if self._failed_starts >= ATTEMPTS:
                raise ServiceError(
                    f"workers end while they start, {ATTEMPTS} times in a row ({_line(error)}): is "
                    "there memory for the model on every machine?"
                )
        waiting = list(copy.tasks)
        self._ray.kill(copy.actor)
        self.copies[self.copies.index(copy)] = self._started()
        self.replaced += 1
        if waiting:
            self._again(waiting[0], f"its worker was lost: {_line(error)}")
            self._homeless.extend(waiting[1:])

    def _again(self, task: Task, why: str) -> None:
        task.failures += 1
        if task.failures >= ATTEMPTS:
            raise FailureError(
                f"{len(task.part.rows)} passages of {task.part.ids.shape[1]} tokens could not be "
                f"run on {ATTEMPTS} workers in turn ({why}); continue with --resume once that is "
                "mended"
            )
        self._homeless.appendleft(task)

    def _check(self, copy: Copy, facts: Mapping[str, str]) -> None:
        """Refuse a worker that would not give the same activations."""
        if different := difference(self._facts, facts):
            raise ConfigError(
                f"the worker on {copy.machine} is of another version: {different}; install the "
                "same ep and libraries, and the same model, on machines with the same device"
            )

    def _check_places(self) -> None:
        """Raise ServiceError where the cluster has no room for a worker.

        A build that has begun goes on without it, as long as another is at work.
        """
        late = [one for one in self.copies if not one.is_placed and _age(one) > PLACE_S]
        if late and (not self._is_begun or len(late) == len(self.copies)):
            raise ServiceError(
                f"the cluster has had no room for a worker for {PLACE_S:.0f} s: other jobs hold "
                "it, or its machines are gone; see `ray status`"
            )

    # -- parts -------------------------------------------------------------------------------------

    def _started(self) -> Copy:
        actor = self._class.remote()
        return Copy(actor, actor.machine.remote(), actor.load.remote(self._setup))

    def _freest(self) -> Copy | None:
        """Return a worker that has the fewest parts; None where all have enough."""
        free = [one for one in self.copies if one.is_ready and len(one.tasks) < IN_FLIGHT]
        return min(free, key=lambda copy: len(copy.tasks), default=None)

    def _house(self) -> None:
        """Give waiting parts to workers, as far as there is room."""
        while self._homeless and (copy := self._freest()) is not None:
            task = self._homeless.popleft()
            task.reference = copy.actor.run.remote(task.part)
            copy.tasks.append(task)
            self.most_in_flight = max(self.most_in_flight, len(copy.tasks))


def _age(copy: Copy) -> float:
    return monotonic() - copy.begun


def _line(error: BaseException) -> str:
    """Return an error as one short line."""
    return (" ".join(str(error).split()) or type(error).__name__)[:200]


def machines(nodes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, float]]:
    """Return the resources of the machines of a cluster that can be used, from `ray.nodes()`."""
    return [node["Resources"] for node in nodes if node["Alive"] and node["Resources"].get("CPU")]
