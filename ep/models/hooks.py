"""Interventions as forward hooks on a model: on which positions each acts, and how far it moved the
stream there.

Placed for one pass at a time and always removed; nobody else's hooks are touched. Knows no sampling
and no text.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from ep.models.interventions import Applied, Intervention
from ep.models.loading import LanguageModel


class Hooks:
    """The rows' interventions as forward hooks, placed for one pass at a time; measures what they
    change.

    prompt: (rows, t) bool, the prompts' real tokens, padded on the left; later positions are
    generated ones.
    """

    def __init__(
        self, model: LanguageModel, interventions: Sequence[Sequence[Intervention]], prompt: Any
    ) -> None:
        self.model = model
        self.prompt_end = prompt.shape[1]
        self.padding = (prompt.shape[1] - prompt.sum(-1)).tolist()
        self.by_layer: dict[int, list[tuple[int, Applied]]] = {}
        made: dict[int, Applied] = {}
        for number, row in enumerate(interventions):
            for one in row:
                applied = made.setdefault(id(one), Applied(one, model.device))
                for layer in one.layers:
                    self.by_layer.setdefault(layer, []).append((number, applied))
        self.asked = [0.0] * len(interventions)
        self.moved = [0.0] * len(interventions)
        self.touched = [0] * len(interventions)
        self.seen = 0

    def placed(self, length: int) -> ExitStack:
        """The hooks for a pass over the next `length` positions, registered until the returned
        stack is left.
        """
        stack = ExitStack()
        for layer, changes in self.by_layer.items():
            handle = self.model.hook_point(layer).register_forward_hook(self._hook(changes))
            stack.callback(handle.remove)
        stack.callback(setattr, self, "seen", self.seen + length)
        return stack

    def _hook(self, changes: list[tuple[int, Applied]]) -> Any:
        def change(_module: Any, _inputs: Any, x: Any) -> Any:
            out = x.clone()
            for number, applied in changes:
                where = self._span(number, applied.scope, x.shape[1])
                before = out[number, where]
                if not len(before):
                    continue
                step = applied.step(before)
                after = applied.moved(before, step)
                self.asked[number] += float(step.norm(dim=-1).sum()) / applied.norm
                self.moved[number] += (
                    float((after.float() - before.float()).norm(dim=-1).sum()) / applied.norm
                )
                self.touched[number] += int(before.shape[0])
                out[number, where] = after
            return out

        return change

    def _span(self, number: int, scope: str, length: int) -> slice:
        """Which positions of this pass a scope touches; never padding."""
        first = self.prompt_end if scope == "generated" else self.padding[number]
        first = self.prompt_end - 1 if scope == "last" else first
        end = self.prompt_end if scope in ("prompt", "last") else self.seen + length
        return slice(max(0, first - self.seen), max(0, end - self.seen))

    def sums(self) -> list[tuple[float, float, int]]:
        """(asked, moved, touched) of every row: lengths of change in typical norms, added up, and
        positions.
        """
        return list(zip(self.asked, self.moved, self.touched, strict=True))
