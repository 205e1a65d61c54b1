"""Interventions as forward hooks: the positions each acts on, and how far it moves the stream.

Hooks are registered for one forward pass at a time and always removed; other hooks of the model are
left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from ep.models.interventions import Applied, Intervention
from ep.models.loading import LanguageModel


class Hooks:
    """The interventions of a batch's rows as forward hooks, which also measure the changes.

    interventions: those of each row.
    prompt: (rows, t) bool tensor, true at the prompts' tokens, padded on the left; all later
        positions are generated ones.
    """

    def __init__(
        self, model: LanguageModel, interventions: Sequence[Sequence[Intervention]], prompt: Any
    ) -> None:
        self.model = model
        self.prompt_end = prompt.shape[1]
        self.padding = (prompt.shape[1] - prompt.sum(-1)).tolist()
        self.by_layer: dict[int, list[tuple[int, Applied]]] = {}
        built: dict[int, Applied] = {}
        for number, row in enumerate(interventions):
            for one in row:
                # rows often share an intervention: its tensors are built once
                applied = built.setdefault(id(one), Applied(one, model.device))
                for layer in one.layers:
                    self.by_layer.setdefault(layer, []).append((number, applied))
        self.requested = [0.0] * len(interventions)
        self.moved = [0.0] * len(interventions)
        self.touched = [0] * len(interventions)
        self.done = 0  # positions of earlier passes

    def placed(self, length: int) -> ExitStack:
        """Register the hooks for a pass over the next `length` positions.

        Leaving the returned stack removes them.
        """
        stack = ExitStack()
        for layer, changes in self.by_layer.items():
            handle = self.model.hook_point(layer).register_forward_hook(self._hook(changes))
            stack.callback(handle.remove)
        stack.callback(setattr, self, "done", self.done + length)
        return stack

    def _hook(self, changes: list[tuple[int, Applied]]) -> Any:
        """Return a hook that changes the rows of one layer, and adds up how far."""

        def change(_module: Any, _inputs: Any, x: Any) -> Any:
            out = x.clone()
            for number, applied in changes:
                span = self._span(number, applied.scope, x.shape[1])
                before = out[number, span]
                if not len(before):
                    continue
                step = applied.step(before)
                after = applied.moved(before, step)
                self.requested[number] += float(step.norm(dim=-1).sum()) / applied.norm
                self.moved[number] += (
                    float((after.float() - before.float()).norm(dim=-1).sum()) / applied.norm
                )
                self.touched[number] += int(before.shape[0])
                out[number, span] = after
            return out

        return change

    def _span(self, number: int, scope: str, length: int) -> slice:
        """Return the positions of this pass that a scope touches; never padding."""
        # counted over all passes, from the start of the padded prompts
        first = self.prompt_end if scope == "generated" else self.padding[number]
        first = self.prompt_end - 1 if scope == "last" else first
        end = self.prompt_end if scope in ("prompt", "last") else self.done + length
        return slice(max(0, first - self.done), max(0, end - self.done))

    def sums(self) -> list[tuple[float, float, int]]:
        """Return (requested, moved, touched) of every row.

        requested, moved: summed lengths of the change as the formula gives it and as measured, in
            typical norms.
        touched: number of changed positions, counted once for each layer.
        """
        return list(zip(self.requested, self.moved, self.touched, strict=True))
