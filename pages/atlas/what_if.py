"""The panel "What if" of the Atlas: other regions from these, counted first, written on request.

A new file in the library holds the result; the open dictionary is never changed. Rules and file are
those of `ep refine`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.method.refine import Plan
from ep.studies import survival
from ep.studies.refining import Rules, plan
from pages.shared import frame, jobs, loading, messages, models, state
from pages.shared.controls import setting_widget
from pages.shared.jobs import Job
from pages.shared.links import one_of
from pages.shared.tokens import escape

What = Literal["merge", "prune", "survival", "reanchor"]
TITLES: dict[str, str] = {
    "merge": "Merge close regions",
    "prune": "Remove the weakest",
    "survival": "Remove what no seed finds",
    "reanchor": "Re-anchor",
}
"""What can be asked, in words."""
FACTORS = (1.01, 1.02, 1.05, 1.1, 1.15, 1.2, 1.3, 1.5)
SHARES = (5, 10, 20, 30, 40, 50, 60)
FOUND = (25, 50, 75, 100)
PRODUCTS_PER_S = 5e9
"""Multiply-adds of the exemplars with each other in a second, at the least."""
ABOUT_ANCHORS = (
    "Each exemplar becomes the member nearest to its region's mean, among the stored passages. The "
    "number of regions stays. `ep refine --reanchor --text` chooses among all members."
)


@dataclass(frozen=True)
class Settings:
    """The settings of the panel.

    what: which rule. factor: the distance in θ within which regions merge. share: the percentage of
    regions to remove, by D. found: the least percentage of other seeds that find a region again.
    orphans: where the members of removed regions go.
    """

    what: What = one_of("what", tuple(TITLES), "merge")
    factor: float = one_of("factor", FACTORS, 1.05)
    share: int = one_of("weakest", SHARES, 20)
    found: int = one_of("seeds", FOUND, 50)
    orphans: Literal["nearest", "left-out"] = one_of("orphans", ("nearest", "left-out"), "nearest")

    @property
    def rules(self) -> Rules:
        """The rules that these settings stand for."""
        if self.what == "merge":
            return Rules(merge=self.factor)
        if self.what == "reanchor":
            return Rules(reanchor=True)
        if self.what == "survival":
            return Rules(prune_survival=self.found / 100, orphans=self.orphans)
        return Rules(prune_weakest=self.share / 100, orphans=self.orphans)


@frame.fragment
def panel(key: str, dictionary: Dictionary) -> None:
    """Draw the panel. key: of the dictionary on the shelf."""
    with st.expander("What if these were other regions?", icon=":material/tune:"):
        messages.quiet(
            "A new dictionary from this one, in a file of its own; this one stays as it is."
        )
        _controls(dictionary)
        settings = state.settings(Settings)
        try:
            may_write = _count(key, dictionary, settings)
        except EPError as error:
            messages.quiet(messages.sentence(error))
            return
        if may_write:
            _write(key, dictionary, settings)


def _controls(dictionary: Dictionary) -> None:
    options = [name for name in TITLES if name != "survival" or survival.seeds(dictionary)]
    if state.settings(Settings).what not in options:
        state.update_settings(Settings, what="merge")
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        setting_widget(
            st.segmented_control,
            Settings,
            "what",
            "What to change",
            options,
            key="what_if_what",
            format_func=TITLES.__getitem__,
            required=True,
            label_visibility="collapsed",
        )
        what = state.settings(Settings).what
        if what == "merge":
            _choice("factor", "Exemplars within", FACTORS, "within {:g} θ")
        elif what == "prune":
            _choice("share", "Share of the regions, by D", SHARES, "the weakest {} % by D")
        elif what == "survival":
            _choice("found", "Found again in less than", FOUND, "found in < {} % of seeds")
        if what in ("prune", "survival"):
            _choice("orphans", "Their members", ("nearest", "left-out"), "members: {}")


def _choice(name: str, label: str, options: tuple[object, ...], text: str) -> None:
    setting_widget(
        st.selectbox,
        Settings,
        name,
        label,
        list(options),
        key=f"what_if_{name}",
        format_func=text.format,
        label_visibility="collapsed",
        width=220,
    )


# -- counting --------------------------------------------------------------------------------------


def _count(key: str, dictionary: Dictionary, settings: Settings) -> bool:
    """Draw what the rules would change; return whether there is anything to write."""
    if settings.what == "reanchor":
        messages.quiet(ABOUT_ANCHORS)
        return True
    seconds = len(dictionary) ** 2 * dictionary.width / PRODUCTS_PER_S
    made: Plan | None = jobs.result_or_offer(
        f"what_if_count {loading.fingerprint(key)} {settings}",
        "Counting the regions",
        lambda _job: plan(dictionary, settings.rules),
        seconds=seconds,
        framed=False,
    )
    if made is None:
        return False
    st.html(f"<div>{escape(sentence(dictionary, made))}</div>")
    return made.changes


def sentence(dictionary: Dictionary, made: Plan) -> str:
    """Return what a plan does to a dictionary, in a sentence."""
    if not made.changes:
        return f"All {len(dictionary):,} regions would stay as they are."
    members, left = dictionary.members, made.target < 0
    joined = len(dictionary) - len(made) - int(left.sum())
    text = f"{len(dictionary):,} regions would become {len(made):,}"
    if joined:
        text += (
            f": {joined:,} join others, the largest then has {_largest(members, made):,} members"
        )
    if left.any():
        share = members[left].sum() / max(1, members.sum())
        text += f"; {int(left.sum()):,} are left out, with {share:.1%} of the members"
    return f"{text}."


def _largest(members: np.ndarray, made: Plan) -> int:
    total = np.zeros(len(made), np.int64)
    goes = made.target >= 0
    np.add.at(total, made.target[goes], members[goes])
    return int(total.max())


# -- writing ---------------------------------------------------------------------------------------


def _write(key: str, dictionary: Dictionary, settings: Settings) -> None:
    """Draw the button that writes the new file, the progress, or the link to what was written."""
    job_key = f"what_if {loading.fingerprint(key)} {settings}"
    written: Path | None = jobs.result(job_key)
    if written is not None and written.exists():
        _written(written)
        return
    if jobs.own_job(job_key) is not None and not jobs.is_own_running(job_key):
        jobs.watch(job_key, framed=False)
    elif jobs.is_own_running(job_key):
        jobs.watch(job_key, framed=False)
        return
    if settings.what == "reanchor" and not models.is_local(dictionary):
        messages.quiet("Its model is not on this machine, and re-anchoring reads members with it.")
        return
    st.button(
        "Write the new dictionary",
        icon=":material/add:",
        key="what_if_write",
        on_click=_start,
        args=(job_key, dictionary, settings.rules),
    )


def _start(job_key: str, dictionary: Dictionary, rules: Rules) -> None:
    folder = loading.library_folder()

    def work(job: Job) -> Path:
        from ep.refined_file import save_refined
        from ep.refining import refine
        from ep.rereading import StoredMembers

        model = reader = None
        if rules.reanchor:
            model = models.load_for(dictionary, job.report)
            reader = StoredMembers(dictionary, model)
        refined = refine(dictionary, rules, model, reader, report=job.report)
        folder.mkdir(parents=True, exist_ok=True)
        return save_refined(refined, dictionary, _free(folder, dictionary, rules))

    jobs.start(job_key, "Writing the new dictionary", work, _on_written)
    state.schedule()


def _on_written(_path: Path) -> None:
    loading.refresh()


def _free(folder: Path, dictionary: Dictionary, rules: Rules) -> Path:
    """Return an unused path in the library that says what was done."""
    stem = (dictionary.path.name if dictionary.path else "dictionary").removesuffix(".ep.h5")
    value = next((v for n, v in rules.given().items() if n.startswith(("merge", "prune"))), "")
    kind = f"{rules.kinds[0]}{f'-{value:g}' if value else ''}"
    path, number = folder / f"{stem}-{kind}.ep.h5", 2
    while path.exists():
        path, number = folder / f"{stem}-{kind}-{number}.ep.h5", number + 1
    return path


def _written(path: Path) -> None:
    """Draw the figures before and after of a written file, and a button that opens it."""
    entry = next((e for e in loading.entries() if e.path.resolve() == path.resolve()), None)
    if entry is None:
        loading.refresh()
        messages.quiet(f"{path.name} is in the library.")
        return
    from ep.views import refined

    rows = [f"{what}: {_arrows(cells)}" for what, cells in refined.table(entry.info)]
    st.html("".join(f'<div class="ep-k ep-num">{escape(row)}</div>' for row in rows))
    st.button(
        f"Open {path.name}",
        icon=":material/open_in_new:",
        key="what_if_open",
        on_click=partial(_open, entry.key),
    )


def _arrows(cells: dict[str, str]) -> str:
    """Return figures as one line, such as "0.73 → 0.64 (at random 0.58)"."""
    text = " → ".join(cells[when] for when in ("before", "after") if when in cells)
    return f"{text} · at random {cells['control']}" if "control" in cells else text


def _open(key: str) -> None:
    state.open_dictionary(key)
    state.schedule()
