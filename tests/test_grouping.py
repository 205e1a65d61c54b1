"""Groups without stored names: called by what their regions have in common, never by a bare
number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ep.method.dictionary import Dictionary
from ep.method.source import AddedSource, MemorySource
from ep.studies import grouping, naming, wording
from ep.views import colorings, tables
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.published import without_tokens

GEOMETRY = (
    "center",
    "exemplars",
    "mean_directions",
    "count_arrival",
    "neighbourhood",
    "nearest_ids",
)


def stripped(dictionary: Dictionary, arrays: tuple[str, ...], **info: Any) -> Dictionary:
    kept = {name: dictionary.source.read(name) for name in arrays}
    return Dictionary(
        MemorySource(kept), {"threshold": dictionary.threshold} | info, len(dictionary)
    )


def texts(*by_group: str) -> Dictionary:
    """One region a text, each text a group's."""
    size = 3 * len(by_group)
    data = [f"{text} {word}".encode() for text in by_group for word in ("one", "two", "three")]
    arrays = {
        "center": np.zeros(size, np.float32),
        "exemplars": np.eye(size, dtype=np.float32),
        "neighbourhood": np.repeat(np.arange(len(by_group)), 3).astype(np.uint8),
        "plain_ids": np.arange(size),
        "plain_offsets": np.cumsum([0, *map(len, data)]),
        "plain_bytes": np.frombuffer(b"".join(data), np.uint8),
        "excerpt_offsets": np.arange(size + 1),
        "excerpt_passage": np.arange(size),
    }
    return Dictionary(MemorySource(arrays), {"threshold": 0.5}, size)


def test_texts_name_a_group_by_words_the_others_lack() -> None:
    found = texts("the boat in the harbour", "the bread in the oven")
    assert [set(names[:2]) for names in grouping.of_groups(found)] == [
        {"boat", "harbour"},
        {"bread", "oven"},
    ]
    assert not grouping.is_by_geometry(found)


def test_published_labels_name_groups_and_odd_ones_are_passed_over() -> None:
    full = synthetic(60, 16)
    group = full.column("neighbourhood")
    told = [
        [k, f"about {'boats' if group[k] == 0 else f'topic {chr(97 + group[k]) * 4}'}"]
        for k in range(60)
    ]
    found = stripped(full, GEOMETRY, published_labels=[*told, [99, "beyond"], "nonsense", [3]])
    names = grouping.of_groups(found)
    assert names[0][0] == "boats" and all("beyond" not in row for row in names)


def test_geometry_alone_calls_a_group_by_its_largest_region() -> None:
    found = stripped(synthetic(60, 16), GEOMETRY)
    group, count = found.column("neighbourhood"), found.column("count_arrival")
    for g, names in enumerate(grouping.of_groups(found)):
        region = int(names[0].removeprefix(grouping.AROUND))
        assert group[region] == g and count[region] == count[group == g].max()
    assert grouping.is_by_geometry(found)


@pytest.mark.parametrize(
    "make", [lambda d: stripped(d, GEOMETRY), without_tokens], ids=["geometry", "texts"]
)
def test_a_legend_never_says_only_a_number(make: Any) -> None:
    full = synthetic(120, 16)
    bare = Dictionary(make(full).source, {"threshold": 0.5}, 120)
    legend = colorings.coloring(bare, "neighbourhood").legend
    assert (
        len({line.name for line in legend})
        == len(legend)
        == int(bare.column("neighbourhood").max()) + 1
    )
    assert all(line.name and not line.name.removeprefix("group ").isdigit() for line in legend)


def test_stored_names_count_where_the_file_stores_names_of_regions_too() -> None:
    full = synthetic(120, 16)
    n_groups = int(full.column("neighbourhood").max()) + 1
    full.info["group_names"] = [[f" word{g}"] for g in range(n_groups)]
    assert not any("word" in name for name in tables.group_names(full))  # of an older version
    source = AddedSource(full.source, naming.as_arrays(naming.automatic(full)))
    current = Dictionary(source, full.info, 120)
    assert tables.group_names(current) == [f"word{g}" for g in range(n_groups)]


def test_members_tokens_name_a_group_by_what_the_others_have_less_often() -> None:
    dictionary = synthetic(120, 16)
    group, ids = dictionary.column("neighbourhood"), dictionary.column("token_ids")
    counts = np.where(ids >= 0, dictionary.column("token_counts"), 0).astype(float)
    for g, names in enumerate(grouping.compute(dictionary)):
        token = next(i for i in np.unique(ids) if i >= 0 and dictionary.piece(int(i)) == names[0])
        own, other = counts[group == g], counts[group != g]
        share = own[ids[group == g] == token].sum() / own.sum()
        assert share > other[ids[group != g] == token].sum() / other.sum()


def test_texts_are_read_once_for_names_of_regions_and_groups(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, times = wording._words, []
    monkeypatch.setattr(wording, "_words", lambda dictionary: times.append(1) or read(dictionary))
    found = without_tokens(synthetic(60, 16))
    assert not naming.is_named(found)
    first = naming.automatic(found)
    assert naming.is_named(found) and naming.automatic(found, [3, 5]) == [first[3], first[5]]
    found.info.pop("group_names", None)
    tables.group_names(found)
    assert len(times) == 1


def test_the_ranking_of_words_is_the_plain_one() -> None:
    """By count, then by how rare they are in the whole file; the same as sorting each region's
    words by hand.
    """
    rng = np.random.default_rng(0)
    region, item = np.sort(rng.integers(0, 12, 3000)), rng.zipf(1.3, 3000) % 60
    ids, counts = wording._ranked(region, item, 13)
    everywhere = np.bincount(item, minlength=60)
    for k in range(13):
        own = np.bincount(item[region == k], minlength=60)
        order = sorted(np.flatnonzero(own).tolist(), key=lambda w: (-own[w], everywhere[w], w))[
            : wording.KEPT
        ]
        assert (
            ids[k][ids[k] >= 0].tolist() == order
            and counts[k][: len(order)].tolist() == own[order].tolist()
        )
