"""The Shared inputs view: regions matched through the texts that both models read.

It counts shared positions, and the round trip of founding passages.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pyarrow as pa
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ep import comparing
from ep.comparing import ENDS, MOST_REGIONS, PASSAGES, Models, Shared
from ep.method.dictionary import Dictionary
from ep.studies.inputs import RoundTrip
from ep.views import matching as view
from ep.views import snippets_two
from ep.views.export import table
from ep.views.glossary import define
from ep.views.tables import lens_tokens
from pages.compare import both_models
from pages.compare.comparison import Comparison
from pages.compare.nulls import other_seed
from pages.shared import loading, messages, sharing, tokens
from pages.shared.jobs import Job

MOST_ROWS = 5000
NULL_INFORMATION = "the AMI of this dictionary and one of the same setting and another seed"
_COLUMNS = {
    "region_a": st.column_config.NumberColumn("A", width=56, format="%d"),
    "name_a": st.column_config.TextColumn("Name of A", width=150),
    "lens_a": st.column_config.ListColumn("Lens of A", width=120, help=define("lens_tokens")),
    "region_b": st.column_config.NumberColumn("B", width=56, format="%d"),
    "name_b": st.column_config.TextColumn("Name of B", width=150),
    "lens_b": st.column_config.ListColumn("Lens of B", width=120, help=define("lens_tokens")),
    "shared": st.column_config.NumberColumn(
        "Shared", width=70, format="localized", help="Positions in both"
    ),
    "share_of_a": st.column_config.NumberColumn(
        "of A", width=62, format="%.2f", help="Share of A's positions"
    ),
    "share_of_b": st.column_config.NumberColumn(
        "of B", width=62, format="%.2f", help="Share of B's positions"
    ),
    "overlap": st.column_config.ProgressColumn(
        "Overlap",
        width=90,
        min_value=0,
        max_value=1,
        format="%.2f",
        color="#8a93a6",
        help="Shared over either",
    ),
    "mutual": st.column_config.CheckboxColumn("Mutual", width=62, help="Each is the other's best"),
}


def show(comparison: Comparison, exports: DeltaGenerator) -> None:
    """Draw both relations once both models have read the passages.

    exports: the container for the exports.
    """
    shared = _shared(comparison)
    if shared is None:
        return
    a, b = comparison.dictionaries
    with exports:
        tables = {"Shared positions": partial(shared_table, a, b, shared)}
        sharing.bar("compare_inputs", tables, snippets_two.shared_inputs(a, b))
    _result(a, b, shared)


def _shared(comparison: Comparison) -> Shared | None:
    """Return what both models read in the stored passages; None while they have not read them."""
    pair = comparison.dictionaries
    others = (other_seed(comparison.a), other_seed(comparison.b))
    seeds = " ".join(str(other and other.path) for other in others)

    def read(job: Job, models: Models) -> Shared:
        return comparing.shared(pair, models, partial(job.report, "reading"), others=others)

    return both_models.result_or_offer(
        comparison,
        f"inputs {comparison.files} {seeds}",
        "Reading stored passages with both models",
        read,
        tokens=_token_counts(*pair),
        button="Read the passages",
        about="Both models read the passages that are stored in both files, once.",
    )


def _token_counts(a: Dictionary, b: Dictionary) -> tuple[float, float]:
    """Estimate how many tokens the models of A and of B read.

    These are the stored passages, and the founding passages of the round trip, which are half as
    long.
    """
    lengths = [_passage_length(dictionary) for dictionary in (a, b)]
    passages = [
        min(PASSAGES, len(d.column("passage_ids"))) if "passage_ids" in d else 0 for d in (a, b)
    ]
    stored = sum(n * length for n, length in zip(passages, lengths, strict=True))
    regions = min(MOST_REGIONS, len(a))
    return stored + regions * lengths[1] / 2, stored + regions * lengths[0] / 2


def _passage_length(dictionary: Dictionary) -> float:
    """Return the mean number of tokens of a stored passage; 0 where the file stores none."""
    if "passage_ids" not in dictionary or not len(dictionary.column("passage_ids")):
        return 0.0
    offsets = dictionary.column("passage_offsets")
    return float(offsets[-1]) / (len(offsets) - 1)


def _result(a: Dictionary, b: Dictionary, shared: Shared) -> None:
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True, gap="small", height="stretch"):
        _shared_positions(shared)
    with right, st.container(border=True, gap="small", height="stretch"):
        _round_trip(shared.trip)
    rows = shared_table(a, b, shared)
    st.html(
        tokens.heading(
            "Regions by what they share",
            f"{min(MOST_ROWS, rows.num_rows):,} of {rows.num_rows:,} rows",
        )
    )
    st.dataframe(
        rows.slice(0, MOST_ROWS),
        hide_index=True,
        height=420,
        row_height=29,
        column_config=_COLUMNS,
        key="compare_shared",
    )


def _shared_positions(shared: Shared) -> None:
    st.html(
        tokens.heading(
            "Shared positions", f"{shared.texts:,} stored passages, {view.where(shared.by)}"
        )
    )
    together = shared.together
    mutual = int(together.mutual.sum())
    st.html(
        tokens.facts(
            (
                "positions",
                f"{together.n:,}",
                f"of {shared.read[0]:,} in A and {shared.read[1]:,} in B",
            ),
            (
                "in mutually best regions",
                f"{100 * together.agreement:.0f} %",
                "each region is the other's best",
            ),
            (
                "by chance",
                f"{100 * together.chance:.1f} %",
                "the same when one side's positions are shuffled",
            ),
            ("mutual pairs", f"{mutual:,}"),
            ("AMI", f"{together.information:.2f}"),
            *(
                (f"{letter}, another seed", f"{null.information:.2f}", NULL_INFORMATION)
                for letter, null in zip("AB", shared.nulls, strict=True)
                if null is not None
            ),
        )
    )
    text = "Both models read the same tokens"
    if shared.by == ENDS:
        text = (
            f"Two tokenizers cut the same text into {shared.read[0]:,} and {shared.read[1]:,} "
            "tokens; where both end, "
        )
        text += "both have read the same"
    messages.quiet(f"{text}; no direction is compared, so centres and widths do not matter.")


def _round_trip(trip: RoundTrip | None) -> None:
    st.html(
        tokens.heading("Round trip", "founding passage of a region of A, its region in B, and back")
    )
    if trip is None:
        messages.quiet(
            "A file here holds no founding passages with tokens, so there is no round trip."
        )
        return
    low, high = trip.interval
    n = len(trip.regions)
    st.html(
        tokens.facts(
            ("regions that return", f"{trip.hits:,} of {n:,}"),
            (
                "share",
                f"{100 * trip.hits / n:.0f} % ({100 * low:.0f} to {100 * high:.0f})",
                "95 % Wilson interval",
            ),
            (
                "by chance, mean",
                f"{trip.null_mean:.1f}",
                "regions that return when the two legs are joined at random",
            ),
            (
                "most in 2,000 draws",
                f"{trip.null_most:,}",
                "the largest number in 2,000 such permutations",
            ),
        )
    )
    messages.quiet(
        "A region returns when the passage that founded its counterpart leads back to it."
    )


def shared_table(a: Dictionary, b: Dictionary, shared: Shared) -> pa.Table:
    """Return a table with one row per pair of regions that share positions, most shared first."""
    together = shared.together
    return table(
        {
            "region_a": together.a,
            "name_a": _names(a, together.a),
            "lens_a": _lens(a, together.a),
            "region_b": together.b,
            "name_b": _names(b, together.b),
            "lens_b": _lens(b, together.b),
            "shared": together.both,
            "share_of_a": together.both / together.of_a[together.a],
            "share_of_b": together.both / together.of_b[together.b],
            "overlap": together.overlap,
            "mutual": together.mutual,
        }
    )


def _names(dictionary: Dictionary, regions: np.ndarray) -> pa.Array:
    """Return the name of each region."""
    ids, rows = np.unique(regions, return_inverse=True)
    return pa.array(loading.cells(dictionary, ids), pa.string()).take(pa.array(rows))


def _lens(dictionary: Dictionary, regions: np.ndarray) -> pa.Array:
    ids, rows = np.unique(regions, return_inverse=True)
    per_region = pa.array(
        [list(top) for top in lens_tokens(dictionary, ids)], pa.list_(pa.string())
    )
    return per_region.take(pa.array(rows))
