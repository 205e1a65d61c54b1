"""Published dictionaries: what was published comes out equal, and nothing a file asks for is ever
done.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ep
from ep.errors import DictionaryFileError, StorageError
from ep.method.dictionary import Dictionary
from ep.storage import check, published
from ep.storage.published import conversion, convert, layout, metadata, stack
from ep.storage.published.stack import MAX_MARKS, MAX_STACK
from ep.storage.published.tape import Tape
from ep.views import excerpts
from ep.views.search import Index
from pages.shared import tokens
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.published import Cell, as_numpy_1, library, pickled, without_tokens, write

SIZE, WIDTH = 12, 8
HOME = b"cep.discovery.dictionary\n"
PROTO = b"\x80\x04"


@pytest.fixture(scope="module")
def original() -> Dictionary:
    return synthetic(SIZE, WIDTH)


@pytest.fixture(scope="module")
def good(original: Dictionary) -> bytes:
    return pickled(library(original), 4)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gemma-2-2b_L12_p4" / "gemma-2-2b_layer12.pkl"


def read(path: Path, data: bytes) -> layout.Published:
    """Only the reading, in this process: what the child does first."""
    with write(path, data).open("rb", buffering=0) as file:
        return layout.read(Tape(file))


def made(path: Path, data: bytes, said: dict[str, Any] | None = None, **origin: Any) -> Dictionary:
    """Reading and conversion, in this process."""
    with write(path, data).open("rb", buffering=0) as file:
        tape = Tape(file)
        return conversion.dictionary(tape, layout.read(tape), path, said or {}, origin)


def refused(path: Path, data: bytes, match: str) -> None:
    with pytest.raises(DictionaryFileError, match=match) as caught:
        read(path, data)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def edited(original: Dictionary, change: Callable[[Any], Any], protocol: int = 5) -> bytes:
    root = library(original)
    change(root)
    return pickled(root, protocol)


# -- what was published comes out equal ------------------------------------------------------------


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("old_numpy", [False, True])
@pytest.mark.parametrize("legacy", [False, True])
def test_every_protocol_layout_and_numpy_gives_equal_numbers(
    path, original, protocol, old_numpy, legacy
):
    names = (
        {"module": "cas.discovery.dictionary", "library": "ConceptLibrary", "cell": "Concept"}
        if legacy
        else {}
    )
    data = pickled(library(original), protocol, **names)
    if old_numpy:
        data = as_numpy_1(data)
        assert b"numpy.core" in data and b"numpy._core" not in data
    got = made(path, data)
    assert len(got) == SIZE and got.threshold == original.threshold
    for name in (
        "center",
        "exemplars",
        "mean_directions",
        "count_arrival",
        "distance_sum",
        "founded_at",
    ):
        assert np.array_equal(got.column(name), original.column(name)), name
    for name in ("exemplar_mean_cosine", "coherence", "distance_square_sum"):
        assert np.allclose(got.column(name), original.column(name), atol=1e-6), name
    assert not [name for name in ("count_voronoi", "mean_distance", "token_ids") if name in got]


def test_excerpts_are_the_published_ones_in_order_and_nothing_is_marked(path, original, good):
    got = made(path, good)
    for k in range(SIZE):
        theirs = [e for e in original.excerpts(k) if e.band != "spread"]
        nearest: dict[tuple[int, int], float] = {}
        for e in sorted(theirs, key=lambda e: e.distance):
            if e.band == "near":
                nearest.setdefault((e.passage, e.position), e.distance)
        places = {("".join(e.pieces).removeprefix("<bos>"), e.position) for e in theirs}
        mine = got.excerpts(k)
        assert {(e.pieces[0], e.position) for e in mine} == places and len(mine) == len(places)
        near = [e.distance for e in mine if e.band == "near"]
        far = [e.distance for e in mine if e.band == "far"]
        assert near == sorted(near) and far == sorted(far, reverse=True)
        assert np.allclose(near, list(nearest.values()))
        assert all(e.marked is None and e.token == "" and len(e.pieces) == 1 for e in mine)
    texts = [got.passage(int(i))[0] for i in got.column("plain_ids")]
    assert len(set(texts)) == len(texts)


@pytest.mark.slow
def test_a_converted_file_opens_checks_and_equals_itself(path, good, tmp_path):
    write(path, good)
    first = convert(path, tmp_path)
    assert first.name == "gemma-2-2b-L12-p4.ep.h5"
    opened = ep.open(first)
    assert (
        opened.info["model"] == "google/gemma-2-2b"
        and opened.info["family"] == "published-gemma-2-2b"
    )
    assert opened.info["published"]["sha256"] == hashlib.sha256(good).hexdigest()
    assert (opened.assign(opened.exemplars + opened.center).region == np.arange(SIZE)).all()
    assert check(first) == ep.digest(convert(path, tmp_path / "again.ep.h5"))
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_link_into_a_cache_keeps_its_name_and_the_metadata_beside_it(path, good, tmp_path):
    """As the Hub's cache lies: names are links to blobs called by their hash."""
    blob = write(tmp_path / "blobs" / "0af3", good)
    path.parent.mkdir()
    path.symlink_to(blob)
    path.with_name("gemma-2-2b_layer12_metadata.json").write_text(json.dumps(GOOD_METADATA))
    info = ep.open(convert(path, tmp_path)).info
    assert (info["published"]["file"], info["layer"], info["published"]["metadata_regions"]) == (
        path.name,
        20,
        738,
    )


@pytest.mark.slow
def test_nothing_of_the_reservoirs_and_counts_is_kept_and_memory_does_not_follow_them(
    path, original
):
    """A file a hundred times larger through what is left out takes no more memory to read."""
    import tracemalloc

    def peak(members: int, joined: int) -> int:
        def grow(root: Any) -> None:
            for cell in root.partitions:
                cell.sample_members = [cell.sample_members[0].copy() for _ in range(members)]
                cell.constituent_sample_indices = [7, *range(300, 300 + joined)]

        data = edited(original, grow)
        write(path, data)
        tracemalloc.start()
        with path.open("rb", buffering=0) as file:
            assert layout.read(Tape(file)).regions[0].founded_at == 7
        taken = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return taken

    assert peak(30, 60_000) < peak(1, 600) + 4 * 2**20


def test_older_layouts_lack_fields_and_only_those(path, original):
    def strip(root: Any) -> None:
        for k, cell in enumerate(root.partitions):
            del cell.boundary_prompts, cell.label, cell.sample_members, cell.sum_sq_dist_to_exemplar
            if k == 3:
                del cell.member_coherence
        del root.merge_close

    got = made(path, edited(original, strip))
    assert "distance_square_sum" not in got and "coherence" not in got and "distance_sum" in got
    assert {e.band for k in range(SIZE) for e in got.excerpts(k)} == {"near"}

    def empty(root: Any) -> None:
        for cell in root.partitions:
            cell.sample_prompts, cell.boundary_prompts = [], []

    assert "excerpt_offsets" not in made(path, edited(original, empty))


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4", ">f2"])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_vectors_of_every_float_are_unit_rows(path, original, dtype, protocol):
    def narrow(root: Any) -> None:
        for cell in root.partitions:
            cell.exemplar_direction = cell.exemplar_direction.astype(dtype)

    got = made(path, edited(original, narrow, protocol))
    assert np.allclose(got.exemplars, original.exemplars, atol=2e-3)
    assert np.allclose(np.linalg.norm(got.exemplars, axis=1), 1, atol=1e-3)


def test_numpy_scalars_and_strided_arrays_are_read(path, original):
    def numpy_kinds(root: Any) -> None:
        root.threshold = np.float64(root.threshold)
        for cell in root.partitions:
            cell.member_count = np.int64(cell.member_count)
            cell.member_coherence = np.float32(cell.member_coherence)
            cell.mean_member_direction = np.repeat(cell.mean_member_direction, 2)[::2]

    for protocol in (2, 5):
        got = made(path, edited(original, numpy_kinds, protocol))
        assert np.array_equal(got.column("count_arrival"), original.column("count_arrival"))
        assert np.array_equal(got.mean_directions, original.mean_directions)


def test_labels_and_both_counts_of_regions_are_carried(path, original):
    def label(root: Any) -> None:
        root.partitions[2].label = "words for <b>animals</b>"
        root.partitions[5].label = "x" * 500

    origin = {
        "repository": "J-RUM/exemplar-partitioning",
        "revision": "0ec2",
        "card_regions": 738,
        "odd": object(),
    }
    said = {"discovery": {"n_partitions": 686}}
    info = made(path, edited(original, label), said, **origin).info
    assert info["published_labels"] == [[2, "words for <b>animals</b>"], [5, "x" * 500]]
    assert (info["published"]["card_regions"], info["published"]["metadata_regions"]) == (738, 686)
    assert info["published"]["regions"] == SIZE and "odd" not in info["published"]


# -- the metadata beside it ------------------------------------------------------------------------

GOOD_METADATA: dict[str, Any] = {
    "config": {
        "api_key": "sk-secret",
        "model": "google/gemma-2-2b-it",
        "wandb_entity": "me",
        "output_dir": "/home/me",
    },
    "discovery_config": {
        "model": "google/gemma-2-2b-it",
        "model_short": "gemma-2-2b-it",
        "layer": 20,
        "percentile": 4,
        "context_length": 128,
        "seed": 0,
        "extractor": "per-position",
        "calibration_tokens": 200_000,
        "model_batch_size": 128,
        "hook_name": None,
        "sampling_mode": "full",
    },
    "discovery": {
        "n_partitions": 738,
        "n_activations": 1000,
        "saturated": True,
        "elapsed_s": 12.5,
        "snapshots": [
            {"n_acts": 10, "n_partitions": 3},
            {"n_acts": 20, "n_partitions": 5, "new_rate": 0.1},
        ],
    },
    "n_tokens": 1007,
    "n_prompts": 9,
}


def test_metadata_says_what_the_build_was_and_no_secret_is_carried_over(path, good):
    info = made(path, good, GOOD_METADATA).info
    expected = {
        "model": "google/gemma-2-2b-it",
        "layer": 20,
        "percentile": 4.0,
        "context": 128,
        "positions": "all",
        "seed": 0,
        "saturated": True,
        "growth": [[10, 3], [20, 5]],
        "n_activations": 1000,
        "n_tokens": 1007,
        "batch": 128,
        "hook": "blocks.20.hook_resid_post",
        "family": "published-gemma-2-2b-it",
        "stop_reason": "quiet batches",
    }
    assert {key: info[key] for key in expected} == expected
    for secret in ("sk-secret", "api_key", "wandb", "/home/me"):
        assert secret not in json.dumps(info)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "config",
                        "discovery_config",
                        "discovery",
                        "snapshots",
                        "model",
                        "model_short",
                        "layer",
                        "n_acts",
                        "percentile",
                        "n_partitions",
                        "seed",
                        "extractor",
                        "hook_name",
                        "saturated",
                    ]
                ),
                inner,
                max_size=6,
            )
        ),
        max_leaves=20,
    )
)
@settings(max_examples=150, deadline=None)
def test_no_metadata_is_ever_an_error(found):
    said = metadata.describe(Path("x.pkl"), found if isinstance(found, dict) else {})
    json.dumps(said, allow_nan=False)
    assert "/" not in said.get("model", "x/y").replace("/", "", 1)


def test_unreadable_metadata_says_nothing(tmp_path):
    for content in (
        b"",
        b"{",
        b"[1]",
        b"\xff\xfe",
        b"NaN",
        b"[" * 100_000,
        b'{"n_tokens": ' + b"9" * 9000 + b"}",
    ):
        (tmp_path / "m.json").write_bytes(content)
        assert metadata.load(tmp_path / "m.json") == {}
    assert metadata.load(tmp_path / "none.json") == {} and metadata.load(None) == {}
    for name in ("../../etc", "/etc/passwd", ".hidden", "a/b/c", "a b", "\n"):
        assert "model" not in metadata.describe(Path("x.pkl"), {"config": {"model": name}})


def test_names_of_files_and_folders_say_what_they_are(tmp_path):
    name = Path("gemma-2-2b-it_L20_p4/gemma-2-2b-it_layer20.pkl")
    said = metadata.describe(name, {})
    assert (said["model"], said["layer"], said["percentile"]) == ("google/gemma-2-2b-it", 20, 4.0)
    folder = "gpt2_L3_p0p5_ctx128_mt10_bs128_seed0_per-position_full"
    deep = f"{folder}/dictionaries/gpt2_layer3_labelled.pkl"
    said = metadata.describe(Path(deep), {})
    assert (said["model"], said["layer"], said["percentile"]) == ("gpt2", 3, 0.5)
    assert "layer" not in metadata.describe(Path("whatever.pkl"), {})


# -- nothing a file asks for is done ---------------------------------------------------------------


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def called(module: str, name: str, argument: str) -> dict[str, bytes]:
    """The ways to have a function called, by name of the opcodes."""
    stack = text(module) + text(name) + b"\x93"
    old = b"c" + f"{module}\n{name}\n".encode()
    return {
        "GLOBAL": b"\x80\x02" + old + text(argument) + b"\x85R.",
        "STACK_GLOBAL": PROTO + stack + text(argument) + b"\x85R.",
        "NEWOBJ": PROTO + stack + text(argument) + b"\x85\x81.",
        "NEWOBJ_EX": PROTO + stack + text(argument) + b"\x85}\x92.",
        "INST": b"\x80\x02(" + text(argument) + b"i" + f"{module}\n{name}\n".encode() + b".",
        "OBJ": b"\x80\x02(" + old + text(argument) + b"o.",
        "BUILD": PROTO + stack + text(argument) + b"b.",
        "in a list that is left out": PROTO + b"](" + stack + text(argument) + b"\x85Re.",
    }


@pytest.mark.parametrize(
    "module", ["posix", "os", "builtins", "subprocess", "numpy.testing._private.utils"]
)
def test_no_function_is_called_and_no_module_imported(path, tmp_path, module):
    name = {
        "builtins": "exec",
        "subprocess": "call",
        "numpy.testing._private.utils": "runstring",
    }.get(module, "system")
    witness = tmp_path / "done"
    for way, data in called(module, name, f"touch {witness}").items():
        refused(path, data, "refused")
        assert not witness.exists(), way


def test_pickles_own_attack_is_refused_by_the_whole_conversion(path, tmp_path):
    witness = tmp_path / "done"

    class Attack:
        def __reduce__(self) -> Any:
            return (__import__("os").system, (f"touch {witness}",))

    write(path, pickle.dumps(Attack()))
    with pytest.raises(
        DictionaryFileError, match="refused: the file asks for 'posix.system'"
    ) as caught:
        convert(path, tmp_path / "x.ep.h5")
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
    assert not witness.exists() and not (tmp_path / "x.ep.h5").exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("numpy.core", "multiarray._reconstruct.__globals__"),
        ("ep.discovery.dictionary", "Dictionary.__init__"),
        ("numpy", "dtype.type"),
        ("numpy.core.multiarray", "_reconstruct.__class__"),
        ("builtins", "set.__class__"),
        ("EP.discovery.dictionary", "Dictionary"),
        ("ep.discovery.dictionary ", "Dictionary"),
        ("cas.discovery", "dictionary.ConceptLibrary"),
        ("_codecs", "decode"),
        ("copyreg", "_reconstructor"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("\u202e\n", "x" * 190),
    ],
)
def test_names_match_exactly_or_not_at_all(path, module, name):
    data = (
        PROTO
        + b"X"
        + struct.pack("<I", len(module.encode()))
        + module.encode()
        + text(name)
        + b"\x93."
    )
    refused(path, data, "refused: the file asks for")


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"P1\n.", "PERSID"),
        (b"NQ.", "BINPERSID"),
        (b"\x82\x01.", "EXT1"),
        (b"\x83\x01\x00.", "EXT2"),
        (b"\x84\x01\x00\x00\x00.", "EXT4"),
        (b"\x97.", "NEXT_BUFFER"),
        (b"N\x98.", "READONLY_BUFFER"),
        (b"I1\n.", "INT"),
        (b"N2.", "DUP"),
        (b"(\x91.", "FROZENSET"),
        (b"\xff.", "unknown opcode 0xff"),
        (b"\x80\x06N.", "protocol 6"),
        (b"N", "cut short"),
        (b"", "cut short"),
        (b"NN.", "left over"),
        (b"N.N", "1 bytes follow the end"),
        (b".", "value is missing"),
        (b"e.", "mark is missing"),
        (b"(a.", "value is missing"),
        (b"(N\x85.", "left over"),
        (b"R.", "value is missing"),
        (b"h\x05.", "memo entry 5 does not exist"),
        (b"Nq\x05.", "memo entry 5 comes before"),
        (b"NNR.", "not a name"),
        (b"N)\x81.", "class that no published dictionary"),
        (b"N}b.", "has none"),
        (b"N.", "something else"),
        (b"].", "something else"),
        (b"B\xff\xff\xff\x7f.", "2,147,483,647 bytes are announced"),
        (b"\x96" + b"\xff" * 8 + b".", "are announced"),
        (b"X\xff\xff\xff\x7f.", "are announced"),
        (b"\x95" + b"\xff" * 8 + b".", "beyond the end"),
        (b"\x8a\xff" + b"\xff" * 300 + b".", "255 bytes"),
        (b"\x8c\x02\xff\xff.", "not UTF-8"),
        (b"c" + b"x" * 500, "name without end"),
        (b"}(NNu.", "something else"),
        (b"(" * (MAX_MARKS + 1) + b".", "nested too deeply"),
        (b"]" * (MAX_STACK + 1) + b".", "nested too deeply"),
        (b"N" + b"\x85" * 5 + b".", "nested too deeply"),
        (b"(" + b"N" * 100 + b"t.", "tuple of 100"),
    ],
)
def test_every_other_instruction_and_every_broken_one_is_named(path, data, match):
    refused(path, PROTO + data, match)


def array_bytes(
    shape: bytes, code: str = "f4", state: bytes | None = None, payload: bytes = b"C\x04abcd"
) -> bytes:
    """A `_frombuffer` call with that shape and dtype."""
    dtype = text("numpy") + text("dtype") + b"\x93" + text(code) + b"\x89\x88\x87R"
    dtype += state or b"(K\x03" + text("<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    return (
        text("numpy._core.numeric")
        + text("_frombuffer")
        + b"\x93("
        + payload
        + dtype
        + shape
        + text("C")
        + b"tR"
    )


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (array_bytes(b"J\xff\xff\xff\x7f\x85"), "needs 8,589,934,588 bytes, the file has 4"),
        (array_bytes(b"\x8a\x0f" + b"\xff" * 14 + b"\x7f\x85"), "far more"),
        (array_bytes(b"J\xff\xff\xff\xff\x85"), "one or two numbers"),
        (array_bytes(b"K\x01K\x01K\x01\x87"), "one or two numbers"),
        (array_bytes(b")"), "one or two numbers"),
        (array_bytes(b"K\x01\x85", "O8"), "dtype 'O8'"),
        (array_bytes(b"K\x01\x85", "V4"), "dtype 'V4'"),
        (array_bytes(b"K\x01\x85", "f16"), "dtype 'f16'"),
        (array_bytes(b"K\x01\x85", "M8"), "dtype 'M8'"),
        (
            array_bytes(
                b"K\x01\x85",
                state=b"(K\x03" + text("|") + b"N" + text("a") + b"}JJJJJK\x04K\x04K\x10tb",
            ),
            ".",
        ),
        (array_bytes(b"K\x01\x85", payload=b"K\x01"), "another kind"),
        (array_bytes(b"K\x01\x85", payload=b"X\x00\x04\x00\x00" + b"x" * 1024), "another kind"),
    ],
)
def test_arrays_are_believed_only_when_their_bytes_are_there(path, data, match):
    refused(path, PROTO + data + b".", match)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda d: setattr(d, "threshold", 0.0), "threshold is 0.0"),
        (lambda d: setattr(d, "threshold", 5.0), "threshold is 5.0"),
        (lambda d: setattr(d, "threshold", float("nan")), "finite"),
        (lambda d: setattr(d, "threshold", "1"), "finite"),
        (lambda d: setattr(d, "partitions", []), "no regions"),
        (lambda d: setattr(d, "partitions", None), "no regions"),
        (lambda d: setattr(d, "partitions", [1, 2]), "something else"),
        (lambda d: d.partitions.append(d.partitions[0]), "listed twice"),
        (lambda d: setattr(d, "center", None), "center is missing"),
        (lambda d: setattr(d, "center", d.center[None]), "center has shape"),
        (
            lambda d: setattr(d, "center", d.center.astype("i4")),
            "expected float16, float32 or float64",
        ),
        (lambda d: setattr(d, "center", d.center * np.inf), "not finite"),
        (lambda d: setattr(d, "center", d.center[:3]), "expected .3,."),
        (
            lambda d: setattr(d.partitions[4], "exemplar_direction", np.zeros(8, "f4")),
            "region 4: .* length 0",
        ),
        (
            lambda d: setattr(d.partitions[4], "mean_member_direction", np.ones(8, "f4")),
            "region 4: .* length 2.8",
        ),
        (
            lambda d: setattr(d.partitions[4], "exemplar_direction", None),
            "has no exemplar_direction",
        ),
        (
            lambda d: setattr(d.partitions[4], "exemplar_direction", [0.5] * 4),
            "has no exemplar_direction",
        ),
        (lambda d: setattr(d.partitions[4], "member_count", -1), "member_count = -1"),
        (lambda d: setattr(d.partitions[4], "member_count", 2**90), "member_count"),
        (lambda d: setattr(d.partitions[4], "member_count", 1.5), "member_count"),
        (lambda d: setattr(d.partitions[4], "member_coherence", 1.5), "member_coherence"),
        (lambda d: setattr(d.partitions[4], "sum_dist_to_exemplar", -3.0), "sum_dist_to_exemplar"),
        (lambda d: setattr(d.partitions[4], "sample_prompts", [(-0.1, "x", -1)]), "position"),
        (
            lambda d: setattr(d.partitions[4], "sample_prompts", [(-0.1, 5, 1)]),
            "text that is not a string",
        ),
        (lambda d: setattr(d.partitions[4], "sample_prompts", [(-9.0, "x", 1)]), "distance"),
        (lambda d: setattr(d.partitions[4], "sample_prompts", ["x"]), "something other than"),
        (
            lambda d: setattr(d.partitions[4], "sample_prompts", [(-0.1, "x" * 2**21, 1)]),
            "more than 1,048,576",
        ),
        (
            lambda d: setattr(d.partitions[4], "sample_prompts", [(-0.1, "x", 1)] * 2000),
            "at most 1,000",
        ),
        (lambda d: setattr(d.partitions[4], "label", 5), "label is not a string"),
        (lambda d: setattr(d.partitions[4], "label", "x" * 9000), "label of 9,000"),
    ],
)
def test_values_that_cannot_be_are_named(path, original, change, match):
    refused(path, edited(original, change), match)


# -- damage ----------------------------------------------------------------------------------------


def test_a_file_cut_anywhere_is_refused(path, good):
    for end in range(2, len(good), 101):
        with pytest.raises(DictionaryFileError):
            read(path, good[:end])


@pytest.mark.slow
@pytest.mark.parametrize("protocol", [2, 5])
def test_random_damage_never_raises_anything_else(path, original, protocol):
    whole, rng = pickled(library(original, members=1), protocol), np.random.default_rng(protocol)
    outcomes = []
    for _ in range(80):
        data = bytearray(whole)
        for at in rng.integers(2, len(data), rng.integers(1, 12)):
            data[at] = rng.integers(256)
        try:
            made(path, bytes(data))
            outcomes.append(True)
        except DictionaryFileError as error:
            outcomes.append(False)
            assert "\n" not in str(error)
    assert not all(outcomes)


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_no_bytes_raise_anything_else(tmp_path_factory, data):
    with pytest.raises(DictionaryFileError):
        read(tmp_path_factory.getbasetemp() / "bytes.pkl", PROTO + data)


BOMBS = {
    "remembered tuples": PROTO + b")\x94" * 12_000_000,
    "tuples of tuples": PROTO + b"N" + b"\x85" * 20_000_000,
    "a list that holds the same list again and again": PROTO
    + b"]\x94"
    + b"("
    + b"h\x00" * 90_000
    + b"e"
    + b".",
    "billion laughs": PROTO
    + b"]\x94"
    + b"".join(b"](h" + bytes([n]) * 2 + b"e\x94" for n in range(60))
    + b".",
    "lists in lists": PROTO + b"]" * 30_000_000,
    "states for one object": PROTO + HOME + b"Dictionary\n)\x81\x94" + b"}bh\x00" * 3_000_000,
    "regions that share one vector": PROTO
    + HOME
    + b"Partition\n\x94"
    + b"h\x00)\x81" * 5_000_000
    + b".",
}


@pytest.mark.slow
@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_end_in_one_line(path, tmp_path, bomb):
    write(path, BOMBS[bomb])
    with pytest.raises(DictionaryFileError) as caught:
        convert(path, tmp_path / "x.ep.h5", timeout=120)
    assert "\n" not in str(caught.value)


def test_what_a_file_may_make_and_have_remembered_is_bounded(path, monkeypatch):
    monkeypatch.setattr(stack, "MAX_OBJECTS", 1000)
    for data in (b"N" + b"\x94" * 1001, b"](" + b"N\x85" * 1001 + b"e"):
        refused(path, PROTO + data + b".", "more than 1,000 objects")


def test_many_regions_with_one_vector_do_not_become_a_large_matrix(path, original):
    def share(root: Any) -> None:
        first, wide = root.partitions[0], np.zeros(60_000, "f4")
        wide[0] = 1
        first.exemplar_direction = first.mean_member_direction = root.center = wide
        for _ in range(300):
            cell = Cell()
            cell.__dict__.update(first.__dict__)
            root.partitions.append(cell)

    refused(path, edited(original, share), "do not fit the file's size")


# -- the child process -----------------------------------------------------------------------------


def test_paths_that_are_no_pickle_are_refused_before_anything_starts(tmp_path):
    for content, match in (
        (b"", "empty"),
        (b"hello", "not a published dictionary"),
        (b"\x80\x01x", "protocol 2 to 5"),
    ):
        with pytest.raises(DictionaryFileError, match=match):
            convert(write(tmp_path / "x.pkl", content))
    for odd in (tmp_path, tmp_path / "none.pkl", Path("/dev/zero"), tmp_path / "a\x00b"):
        with pytest.raises(DictionaryFileError):
            convert(odd)
    with pytest.raises(StorageError, match="cannot be written"):
        convert(write(tmp_path / "x.pkl", b"\x80\x04N."), tmp_path / "no" / "x.ep.h5")


@pytest.mark.slow
def test_cancelling_leaves_nothing_behind_and_the_old_file_as_it_was(path, good, tmp_path):
    write(path, good)
    target = tmp_path / "x.ep.h5"
    target.write_bytes(b"old")

    class Stop(Exception):
        pass

    told = []

    def report(said: str, share: float | None) -> None:
        told.append((said, share))
        if share is not None:
            raise Stop

    with pytest.raises(Stop):
        convert(path, target, progress=report, replace=True)
    assert target.read_bytes() == b"old" and sorted(p.name for p in tmp_path.iterdir()) == [
        path.parent.name,
        "x.ep.h5",
    ]
    with pytest.raises(DictionaryFileError, match="too long"):
        convert(path, target, timeout=0, replace=True)
    assert target.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("script", "match"), [("kill -9 $$", "signal 9"), ("exit 3", "exit code 3")]
)
def test_a_child_that_dies_is_one_line(path, good, tmp_path, monkeypatch, script, match):
    executable = tmp_path / "python"
    executable.write_text(f"#!/bin/sh\n{script}\n")
    executable.chmod(0o755)
    monkeypatch.setattr(published.sys, "executable", str(executable))
    with pytest.raises(DictionaryFileError, match=match):
        convert(write(path, good), tmp_path / "x.ep.h5")


@pytest.mark.slow
def test_the_command_writes_the_file_and_names_what_is_wrong(path, good, tmp_path):
    write(path, good)
    run = [sys.executable, "-m", "ep", "import", str(path), "--out", str(tmp_path / "x.ep.h5")]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path / "x.ep.h5")
    shown = subprocess.run(
        [sys.executable, "-m", "ep", "region", done.stdout.strip(), "0", "--json"],
        capture_output=True,
    )
    assert done.stderr == ""
    excerpt = json.loads(shown.stdout)["excerpts"][0]
    assert excerpt["marked"] is None and len(excerpt["tokens"]) == 1
    write(path, good[:900])
    failed = subprocess.run(run, capture_output=True, text=True, check=False)
    assert (
        failed.returncode == 2
        and failed.stderr.count("\n") == 1
        and "Traceback" not in failed.stderr
    )


# -- files without token ids, everywhere else ------------------------------------------------------


def test_text_without_tokens_survives_the_file_and_every_view(tmp_path, original):
    plain = without_tokens(original)
    opened = ep.open(ep.save(plain, tmp_path / "x.ep.h5"))
    region = opened.region(0)
    assert region.founder is None and region.excerpts == plain.region(0).excerpts
    flat, whole = [[view(e) for e in region.excerpts] for view in (excerpts.aligned, excerpts.full)]
    for row, excerpt in zip(flat + whole, region.excerpts * 2, strict=True):
        assert row.token is None and "".join(row.right) == excerpt.pieces[0]
    for html in (
        tokens.aligned(flat, "#000"),
        tokens.full_text(whole, "#000"),
        tokens.one_line(whole, "#000"),
    ):
        assert "ep-mark" not in html and "<script" not in html
    assert len(Index(opened).find("3")) >= 1


def test_words_of_a_hostile_text_are_escaped():
    text = "<script>alert(1)</script> a&b\n" * 3
    excerpt = ep.Excerpt(0, 3, (text,), 0.1, "near", is_plain=True)
    html = tokens.full_text([excerpts.full(excerpt)], "#123456")
    assert "<script" not in html and "".join(excerpts.full(excerpt).right) == text
