"""Labelling of regions by a model, one after the other.

Each label is saved before the next region is asked about. This module connects the questions
(`explaining`), the model (`ep.models.endpoint`) and the file of labels (`ep.storage.labels`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ep.method.dictionary import Dictionary
from ep.models.endpoint import Endpoint
from ep.progress import Report, silent
from ep.storage import edits
from ep.storage.labels import NOBODY, Labels
from ep.studies.explaining import Explanation, Failure, explain_all
from ep.studies.naming import numbered


@dataclass
class Outcome:
    """The result of labelling regions, filled as the work goes on.

    labels: the labels of the dictionary, including the new ones.
    given: the new labels.
    failed: the regions that got none.
    """

    labels: Labels
    given: list[Explanation] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)

    def summary(self) -> str:
        """Return the result as a line of text.

        For example "12 regions labelled, mean detection 0.84 over 12; 1 got no label: ...".
        """
        n = len(self.given)
        scores = [e.score.value for e in self.given if e.score is not None]
        text = f"{n:,} region{'s' if n != 1 else ''} labelled"
        if scores:
            text += f", mean detection {np.mean(scores):.2f} over {len(scores):,}"
        if untested := [e.why for e in self.given if e.score is None]:
            text += f"; {len(untested):,} not scored: {untested[-1]}"
        if self.failed:
            text += f"; {len(self.failed):,} got no label: {self.failed[-1].why}"
        return text


def label_regions(
    out: Outcome,
    dictionary: Dictionary,
    regions: Sequence[int],
    endpoint: Endpoint,
    by: str = NOBODY,
    negatives: bool = True,
    control: bool = True,
    report: Report = silent,
    seed: int = 0,
) -> None:
    """Ask a model for labels of regions, saving each immediately.

    out: `Outcome(labels)`, which is filled as the work goes on, so that the labels so far are known
        when it ends early.
    by: the name to save them under.
    negatives: whether to show look-alikes from neighbouring regions.
    control: whether to test the label of another region too.
    report: called with the progress, several times a second while waiting; an exception it raises
        ends the work, and what has been saved stays.
    seed: of the choice of excerpts and controls.

    A new label replaces an earlier one by the same model. When several regions are given, those
    whose best label is locked are left out. Raises the errors of `explain_all` and `Labels.save`.
    """
    if len(regions) > 1:
        regions = [k for k in regions if not any(label.locked for label in out.labels.stored(k))]
    share = 0.0

    def pulse() -> None:
        report(f"{len(out.given) + len(out.failed):,} of {len(regions):,} regions", share)

    def ask(messages: Sequence[Mapping[str, str]]) -> str:
        return endpoint.ask(messages, pulse=pulse)

    control_of = (
        (lambda region: control_label(out.labels, region, seed)) if control else (lambda region: "")
    )
    for outcome in explain_all(dictionary, regions, ask, negatives, control_of, seed):
        if isinstance(outcome, Failure):
            out.failed.append(outcome)
        else:
            out.labels = out.labels.save(_edit(out.labels, outcome, endpoint.source), by=by)
            out.given.append(outcome)
        share = (len(out.given) + len(out.failed)) / len(regions)
        pulse()


def control_label(labels: Labels, region: int, seed: int = 0) -> str:
    """Return the label of another region, or "" when no other region has any.

    It is drawn by seed among all regions with a label that is more than a number.
    """
    texts = labels.texts()
    others = sorted(k for k, text in texts.items() if k != region and text != numbered(k))
    return (
        texts[others[int(np.random.default_rng([seed, region, 1]).integers(len(others)))]]
        if others
        else ""
    )


def _edit(labels: Labels, explanation: Explanation, source: str) -> edits.Edit:
    """Return the edit that saves a label, in place of an earlier one from the same source."""
    earlier = [
        label.id
        for label in labels.stored(explanation.region)
        if label.source == source and not label.locked
    ]
    return edits.label(
        explanation.region, explanation.text, source, explanation.score, max(earlier, default=None)
    )
