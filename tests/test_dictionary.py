"""Laws of the dictionary: it answers what its arrays say, reads only what it is asked for, and
cannot be changed.
"""

from __future__ import annotations

import numpy as np
import pytest

from ep.errors import ActivationError, DictionaryFileError, UnknownRegion
from ep.method.dictionary import Dictionary
from ep.method.lenses import LENSES, PAPER, STORED, kind_of
from ep.method.region import BANDS
from ep.method.source import MemorySource
from ep.text import split_text
from tests.fixtures.dictionaries import synthetic

K, D = 40, 16


@pytest.fixture(scope="module")
def dictionary() -> Dictionary:
    return synthetic(K, D)


@pytest.fixture(scope="module")
def x(dictionary) -> np.ndarray:
    return (np.random.default_rng(6).normal(size=(200, D)) * 30 + dictionary.center).astype(
        np.float32
    )


class Recorder:
    """A source that notes how many rows of what were read."""

    def __init__(self, source) -> None:
        self.source, self.reads = source, []

    def __contains__(self, name: str) -> bool:
        return name in self.source

    def read(self, name: str, start: int | None = None, stop: int | None = None) -> np.ndarray:
        found = self.source.read(name, start, stop)
        self.reads.append((name, len(found)))
        return found.copy()


def test_assignment_is_the_arg_min_of_distances(dictionary, x):
    found, distances = dictionary.assign(x), dictionary.distances(x)
    assert distances.shape == (200, K)
    assert distances.min() >= 0 and distances.max() <= 2
    assert np.array_equal(found.region, distances.argmin(1))
    assert np.allclose(found.distance, distances.min(1), atol=1e-6)
    assert not found.is_new.any()


def test_an_exemplar_is_assigned_to_itself_at_any_length(dictionary):
    for length in (1e-2, 1, 1e4):
        found = dictionary.assign(dictionary.center + length * dictionary.exemplars)
        assert np.array_equal(found.region, np.arange(K))
        assert found.distance.max() < 1e-5


def test_distances_do_not_depend_on_chunks(dictionary, x, monkeypatch):
    whole = dictionary.distances(x, "mean")
    monkeypatch.setattr("ep.method.dictionary.ASSIGN_CHUNK_BYTES", 1)
    assert np.allclose(dictionary.distances(x, "mean"), whole, atol=1e-6)
    assert np.allclose(
        whole, 1 - _unit(x - dictionary.center) @ dictionary.mean_directions.T, atol=1e-5
    )


def test_bad_activations_and_unknown_bases_are_refused(dictionary, x):
    with pytest.raises(ActivationError, match="NaN at row 3"):
        dictionary.assign(np.where(np.arange(200)[:, None] == 3, np.nan, x))
    with pytest.raises(ActivationError, match="15 wide"):
        dictionary.distances(x[:, :15])
    with pytest.raises(KeyError, match="median"):
        dictionary.distances(x, "median")


def test_nothing_can_be_written(dictionary):
    for name in ("exemplars", "center", "count_arrival"):
        with pytest.raises(ValueError, match="read-only"):
            dictionary.column(name)[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        Dictionary(Recorder(dictionary.source), dictionary.info, K).exemplars[0, 0] = 0


def test_a_source_leaves_its_maker_free_to_go_on():
    mine = np.zeros(3)
    MemorySource({"a": mine})
    mine[0] = 1


def test_every_stored_value_of_a_region_is_in_its_reading(dictionary):
    for k in range(K):
        region = dictionary.region(k)
        assert region.id == k
        assert region.count_arrival == dictionary.column("count_arrival")[k]
        assert region.count_voronoi == dictionary.column("count_voronoi")[k]
        assert region.coherence == pytest.approx(float(dictionary.column("coherence")[k]))
        assert [i for i, _ in region.nearest] == [
            i for i in dictionary.column("nearest_ids")[k].tolist() if i >= 0
        ]
        assert set(region.lens) == set(STORED)
        for name, scores in region.lens.items():
            assert np.allclose(
                [s.value for s in scores],
                dictionary.column(f"lens_{name}_values")[k][: len(scores)],
            )
        counts = [c for c in dictionary.column("token_counts")[k].tolist() if c]
        assert [t.value for t in region.tokens] == counts


def test_excerpts_mark_the_stored_token(dictionary):
    offsets, positions = dictionary.column("excerpt_offsets"), dictionary.column("excerpt_position")
    passages = dictionary.column("excerpt_passage")
    ids, starts = dictionary.column("passage_ids"), dictionary.column("passage_offsets")
    tokens = dictionary.column("passage_tokens")
    for k in range(K):
        excerpts = dictionary.excerpts(k)
        assert len(excerpts) == offsets[k + 1] - offsets[k]
        assert [e.band for e in excerpts] == sorted((e.band for e in excerpts), key=BANDS.index)
        for at, excerpt in zip(range(offsets[k], offsets[k + 1]), excerpts, strict=True):
            token = tokens[starts[np.searchsorted(ids, passages[at])] + positions[at]]
            assert excerpt.token == dictionary.piece(int(token))
            assert excerpt.pieces == dictionary.passage(excerpt.passage)
            assert excerpt.pieces[excerpt.marked] == excerpt.token
        founder = dictionary.region(k).founder
        assert founder is not None and founder.distance == 0
        assert founder.token == dictionary.piece(int(dictionary.column("founder_token")[k]))


def test_reading_one_region_reads_only_its_rows(dictionary):
    source = Recorder(dictionary.source)
    Dictionary(source, dictionary.info, K).region(17)
    # small, and needed to find text
    whole = {"vocabulary_ids", "vocabulary_pieces", "passage_ids", "passage_offsets"}
    for name, rows in source.reads:
        assert name in whole or rows <= 64, (name, rows)
    assert {"exemplars", "mean_directions"}.isdisjoint(name for name, _ in source.reads)


@pytest.mark.parametrize("region", [-1, K, 10**9, "seven", None])
def test_unknown_regions_are_refused_with_the_range(dictionary, region):
    with pytest.raises(UnknownRegion, match=f"0 to {K - 1}"):
        dictionary.check(region)


def test_a_dictionary_of_geometry_alone_can_be_read(dictionary, x):
    names = ("center", "exemplars", "mean_directions", "count_arrival", "coherence")
    bare = Dictionary(MemorySource({n: dictionary.column(n) for n in names}), {"threshold": 0.5}, K)
    region = bare.region(3)
    assert (region.lens, region.tokens, region.nearest, region.excerpts, region.founder) == (
        {},
        (),
        (),
        (),
        None,
    )
    assert np.array_equal(bare.assign(x).region, dictionary.assign(x).region)
    assert bare.piece(5) == "<5>"
    assert "lens_mean_up_ids" not in bare
    with pytest.raises(KeyError, match="map_pca"):
        bare.column("map_pca")


def test_an_unstored_passage_is_refused(dictionary):
    with pytest.raises(DictionaryFileError, match="999999999"):
        dictionary.passage(999_999_999)


def test_split_text_keeps_every_character_on_its_first_token():
    assert split_text([b"a", b"\xe2\x82", b"\xac!", b"b"]) == ("a", "€", "!", "b")
    assert split_text([b"\xf0\x9f", b"\x98", b"\x80 x"]) == ("😀", "", " x")
    assert split_text([b"\xe2", b"A"]) == ("\ufffd", "A")
    assert split_text([b"\xf0\x90", b"\xe2\x82", b"\xac"]) == ("\ufffd", "€", "")
    assert split_text([b"x", b"\xe2\x82"]) == ("x", "\ufffd")
    assert split_text([]) == ()


def test_split_text_joins_to_the_decoded_text_whatever_the_cut():
    rng = np.random.default_rng(7)
    alphabet = [*"a é€😀\n\x00".encode(), 0xFF, 0xC3, 0xE2, 0x80]
    for _ in range(300):
        text = (
            bytes(rng.choice(alphabet, 20).tolist())
            if rng.random() < 0.5
            else "né€😀 \u202e".encode() * 2
        )
        cuts = np.sort(rng.integers(0, len(text) + 1, 6)).tolist()
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert "".join(split_text(pieces)) == text.decode("utf-8", "replace")


def _unit(u: np.ndarray) -> np.ndarray:
    return u / np.linalg.norm(u, axis=1, keepdims=True)


def test_the_lens_that_scored_best_comes_first_and_else_the_papers(dictionary):
    assert dictionary.first_lens == PAPER == next(iter(dictionary.region(3).lens))
    chosen = Dictionary(dictionary.source, {**dictionary.info, "first_lens": "point_lift_up"}, K)
    assert chosen.first_lens == "point_lift_up" == chosen.lenses[0]
    assert list(chosen.region(3).lens) == list(chosen.lenses)
    assert chosen.lens(3) == chosen.lens(3, "point_lift_up") != chosen.lens(3, PAPER)


@pytest.mark.parametrize("first", ["nonsense", "center", None, 7, ["a"], {"a": 1}, ""])
def test_a_first_lens_that_the_file_does_not_hold_is_the_papers(dictionary, first):
    named = Dictionary(dictionary.source, {**dictionary.info, "first_lens": first}, K)
    assert named.first_lens == PAPER
    bare = MemorySource({"center": dictionary.center, "exemplars": dictionary.exemplars})
    named = Dictionary(bare, {"threshold": 0.5, "first_lens": "point_lift_up"}, K)
    assert (named.first_lens, named.lenses, named.lens(0)) == (PAPER, (), ())


def test_the_kinds_of_lens_name_each_other():
    for name, kind in LENSES.items():
        assert name == kind.name and (kind.control in LENSES or name == "exemplar")
        assert all(kind_of(stored) is kind for stored in kind.stored)
        assert kind.title and kind.formula and kind.about.endswith(".")
    with pytest.raises(KeyError, match="exemplar_up"):
        kind_of("jacobian_lift_down")
