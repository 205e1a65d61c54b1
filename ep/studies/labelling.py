"""Labelling of regions by a model, one after the other.

Each label is saved before the next region is asked about. This module connects the questions
(`explaining`), the model (`ep.models.endpoint`) and the file of labels (`ep.storage.labels`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ep.errors import ServiceError
from ep.method.dictionary import Dictionary
from ep.models.endpoint import Endpoint
from ep.progress import Report, silent
from ep.storage import edits
from ep.storage.answers import Answers, kept
from ep.storage.edits import Score
from ep.storage.labels import NOBODY, Label, Labels
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
    whose best label is locked are left out. What was answered in an earlier labelling that was
    interrupted is not asked again. Raises the errors of `explain_all` and `Labels.save`.
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
    settings = [endpoint.source, out.labels.about["exemplars"], negatives, control, seed]
    with kept(out.labels.path, json.dumps(settings)) as answers:
        rest = _without_finished(out, regions, endpoint.source, answers)
        asking = answers.asking(ask)
        try:
            for outcome in explain_all(dictionary, rest, asking, negatives, control_of, seed):
                _take(out, outcome, answers, endpoint.source, by)
                share = (len(out.given) + len(out.failed)) / len(regions)
                pulse()
        except ServiceError:
            answers.fail()
            raise


def _take(
    out: Outcome, outcome: Explanation | Failure, answers: Answers, source: str, by: str
) -> None:
    """Save a label, unless an interrupted labelling did, and add the outcome to `out`."""
    if isinstance(outcome, Failure):
        out.failed.append(outcome)
        answers.fail()
        return
    if not (answers.is_recalled and _is_saved(out.labels, outcome, source)):
        out.labels = out.labels.save(_edit(out.labels, outcome, source), by=by)
    out.given.append(outcome)
    answers.finish(outcome.region, outcome.why)


def _without_finished(
    out: Outcome, regions: Sequence[int], source: str, answers: Answers
) -> list[int]:
    """Add what an interrupted labelling saved to the outcome; return the other regions."""
    rest = []
    for region in regions:
        why, label = answers.reason(region), _label_by(out.labels, region, source)
        if why is None or label is None:
            rest.append(region)
        else:
            answers.skip(region)
            out.given.append(Explanation(region, label.text, _score(label), why))
    return rest


def _is_saved(labels: Labels, explanation: Explanation, source: str) -> bool:
    """Return whether a label and its score are stored already."""
    label = _label_by(labels, explanation.region, source)
    return label is not None and (label.text, _score(label)) == (
        explanation.text,
        explanation.score,
    )


def _label_by(labels: Labels, region: int, source: str) -> Label | None:
    """Return the newest label of a region by a source, or None."""
    found = [label for label in labels.stored(region) if label.source == source]
    return max(found, key=lambda label: label.id, default=None)


def _score(label: Label) -> Score | None:
    """Return the score of a stored label."""
    if label.score is None or label.interval is None:
        return None
    return Score(label.score, label.n, *label.interval, label.control)


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
