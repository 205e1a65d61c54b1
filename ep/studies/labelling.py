"""Regions labelled by a model one after the other; each label is on disk before the next region is
asked about.

Brings together who asks (`explaining`), who answers (`ep.models.endpoint`) and where it is kept
(`ep.storage.labels`).
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
    """What came of it: the labels given, the regions that got none, and the labels of the
    dictionary afterwards.
    """

    labels: Labels
    given: list[Explanation] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)

    def summary(self) -> str:
        """ "12 regions labelled, mean detection 0.84; 1 got no label: ..."."""
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
    """Labels regions, saving each at once; a second label of the same model takes the place of its
    first.

    out: `Outcome(labels)`, filled as the work goes, so that what was done is known whatever ends
    it. by: in whose name. negatives: show look-alikes. control: also test another region's label.
    report: hears how far it is, several times a second while waiting; what it raises ends the work,
    and what is saved stays. Regions whose best label is locked are left alone when several are
    asked for. Errors as `explain_all` and `save`.
    """
    if len(regions) > 1:
        regions = [k for k in regions if not any(label.locked for label in out.labels.stored(k))]
    share = 0.0

    def pulse() -> None:
        report(f"{len(out.given) + len(out.failed):,} of {len(regions):,} regions", share)

    def ask(messages: Sequence[Mapping[str, str]]) -> str:
        return endpoint.ask(messages, pulse=pulse)

    other = (
        (lambda region: control_label(out.labels, region, seed)) if control else (lambda region: "")
    )
    for found in explain_all(dictionary, regions, ask, negatives, other, seed):
        if isinstance(found, Failure):
            out.failed.append(found)
        else:
            out.labels = out.labels.save(_edit(out.labels, found, endpoint.source), by=by)
            out.given.append(found)
        share = (len(out.given) + len(out.failed)) / len(regions)
        pulse()


def control_label(labels: Labels, region: int, seed: int = 0) -> str:
    """The label of another region, drawn by seed among all that have one; empty when no other has
    any.
    """
    texts = labels.texts()
    others = sorted(k for k, text in texts.items() if k != region and text != numbered(k))
    return (
        texts[others[int(np.random.default_rng([seed, region, 1]).integers(len(others)))]]
        if others
        else ""
    )


def _edit(labels: Labels, found: Explanation, source: str) -> edits.Edit:
    earlier = [
        label.id
        for label in labels.stored(found.region)
        if label.source == source and not label.locked
    ]
    return edits.label(found.region, found.text, source, found.score, max(earlier, default=None))
