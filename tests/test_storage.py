"""The file: what goes in comes out, lazily, from many threads, and a failed write changes
nothing.
"""

from __future__ import annotations

import errno
import gc
import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest

from ep import storage
from ep.errors import DictionaryFileError, StorageError
from ep.method.dictionary import Dictionary
from ep.method.source import MemorySource
from ep.storage import file as file_module
from ep.storage import writing
from ep.storage.schema import ARRAYS, BLOCK_BYTES
from ep.studies.names import with_names
from tests.fixtures.dictionaries import synthetic

PUBLISHED = ("plain_ids", "plain_offsets", "plain_bytes", "excerpt_agrees")
"""Arrays that only files made of published dictionaries have; see test_published.py."""
METRIC = ("metric_scale", "metric_matrix", "exemplar_norms", "mean_norms")
"""Arrays that only files of some metrics have; see test_metrics.py."""

NAMES = [
    name
    for name in ARRAYS
    if not name.startswith("vocabulary_") and name not in (*PUBLISHED, *METRIC)
]
NAMES += ["vocabulary_ids", "vocabulary_pieces"]


def arrays_of(dictionary: Dictionary, names: list[str] = NAMES) -> dict[str, np.ndarray]:
    return {name: dictionary.source.read(name) for name in names if name in dictionary}


def changed(
    dictionary: Dictionary, info: dict | None = None, **arrays: np.ndarray | None
) -> Dictionary:
    """The dictionary with some arrays replaced, or left out where None."""
    kept = {
        name: array for name, array in (arrays_of(dictionary) | arrays).items() if array is not None
    }
    return Dictionary(MemorySource(kept), dictionary.info | (info or {}), len(dictionary))


@pytest.fixture(scope="module")
def big(tmp_path_factory) -> Path:
    """A file above the size that is read whole on opening."""
    path = tmp_path_factory.mktemp("big") / "big.ep.h5"
    return storage.save(synthetic(1500, 1024), path)


# -- the round trip --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "size, width, hostile", [(1, 1, False), (3, 2, False), (40, 16, True), (700, 64, False)]
)
def test_what_is_saved_is_opened_bit_by_bit(tmp_path, size, width, hostile):
    dictionary = synthetic(size, width, hostile=hostile)
    opened = storage.open(storage.save(dictionary, tmp_path / "x.ep.h5"))
    assert opened.info == dictionary.info
    assert (
        len(opened) == size and opened.width == width and opened.threshold == dictionary.threshold
    )
    for name, array in arrays_of(dictionary).items():
        stored = opened.source.read(name)
        assert stored.dtype == array.dtype and stored.shape == array.shape, name
        assert (
            stored.tobytes() == array.tobytes()
            if array.dtype != object
            else stored.tolist() == array.tolist()
        ), name


def test_a_region_reads_the_same_from_memory_and_file(tmp_path):
    dictionary = synthetic(40, 16, hostile=True)
    opened = storage.open(storage.save(dictionary, tmp_path / "x.ep.h5"))
    assert all(opened.region(k) == dictionary.region(k) for k in (0, 17, 39))


def test_rows_of_the_file_are_slices_of_the_whole(tmp_path):
    named = with_names(synthetic(300, 32))
    opened = storage.open(storage.save(named, tmp_path / "x.ep.h5"))
    for name in NAMES:
        whole = opened.source.read(name)
        for start, stop in [
            (0, 1),
            (7, 8),
            (3, 200),
            (None, 5),
            (5, None),
            (len(whole), None),
            (9, 4),
            (0, 10**6),
        ]:
            np.testing.assert_array_equal(
                opened.source.read(name, start, stop), whole[start:stop], err_msg=name
            )


def test_optional_arrays_may_be_absent_but_not_half_of_a_pair(tmp_path):
    dictionary = synthetic(20, 8)
    bare = dict.fromkeys(
        [n for n in NAMES if n not in ("center", "exemplars", "mean_directions", "count_arrival")]
    )
    opened = storage.open(storage.save(changed(dictionary, **bare), tmp_path / "bare.ep.h5"))
    assert (
        "token_ids" not in opened
        and "vocabulary_pieces" not in opened
        and opened.region(3).excerpts == ()
    )
    for name in (
        "nearest_distances",
        "passage_tokens",
        "lens_mean_up_values",
        "vocabulary_ids",
        "mean_directions",
    ):
        with pytest.raises(DictionaryFileError, match="missing"):
            storage.save(changed(dictionary, **{name: None}), tmp_path / "half.ep.h5")
    assert [p.name for p in tmp_path.iterdir()] == ["bare.ep.h5"]


def test_wider_dtypes_are_stored_exactly_or_refused(tmp_path):
    dictionary = synthetic(20, 8)
    wide = changed(dictionary, founder_token=dictionary.column("founder_token").astype(np.int64))
    assert storage.digest(wide) == storage.digest(dictionary)
    assert (
        storage.open(storage.save(wide, tmp_path / "x.ep.h5")).column("founder_token").dtype
        == np.int32
    )
    for array in (
        np.full(20, 2**40),
        np.full(20, "x"),
        np.zeros(19, np.int32),
        np.zeros((20, 2), np.int32),
    ):
        with pytest.raises(DictionaryFileError, match="founder_token"):
            storage.save(changed(dictionary, founder_token=array), tmp_path / "y.ep.h5")


def test_provenance_survives_as_json(tmp_path):
    corpus = {"name": "a\ud800b", "n": (1,)}
    info = {"layer": np.int64(3), "variance_kept": np.ones(3), "note": None, "corpus": corpus}
    opened = storage.open(storage.save(synthetic(5, 4, **info), tmp_path / "x.ep.h5"))
    assert opened.info["layer"] == 3 and opened.info["variance_kept"] == [1.0, 1.0, 1.0]
    assert opened.info["corpus"] == {"name": "a?b", "n": [1]} and opened.info["note"] is None
    for bad in (
        {"typical_norm": float("nan")},
        {"layer": "2"},
        {"note": object()},
        {"group_names": [1]},
    ):
        with pytest.raises(DictionaryFileError, match="provenance"):
            storage.save(synthetic(5, 4, **bad), tmp_path / "bad.ep.h5")


@pytest.mark.parametrize("width", [64, 128, 256, 768, 2304])
def test_the_size_law(tmp_path, width):
    """At most 2.5·K·d·4 bytes beside the text and the fixed cost of HDF5's own structure."""
    size = 1000
    path = storage.save(with_names(synthetic(size, width)), tmp_path / "x.ep.h5")
    with h5py.File(path, locking=False) as file:
        groups = [
            file[name]
            for name in ("text", "names", "excerpts", "lens", "lens_shift", "rivals", "coarser")
        ]
        text = sum(node.id.get_storage_size() for group in groups for node in group.values())
        counted = ("token_ids", "token_counts", "next_ids", "next_counts")
        text += sum(file["profile"][name].id.get_storage_size() for name in counted)
        rest = [
            file[a.path].id.get_storage_size()
            for a in ARRAYS.values()
            if a.path in file and not a.is_vectors
        ]
    assert path.stat().st_size - 2 * 4 * size * width - sum(rest) < 40_000
    assert path.stat().st_size <= 2.5 * 4 * size * width + text


def test_the_document_lists_every_dataset():
    text = (Path(__file__).parent.parent / "docs" / "format.md").read_text("utf-8")
    for array in ARRAYS.values():
        shape = ", ".join(str(part).replace("+1", " + 1") for part in array.shape)
        row = rf"\| `{array.name}` \| {array.dtype.str[1:]} \| \({re.escape(shape)},?\) \|"
        assert re.search(row, text), f"{array.name} {array.dtype.str[1:]} ({shape})"


# -- lazy ------------------------------------------------------------------------------------------


class Counting:
    """How many bytes each dataset gave away."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bytes: dict[str, int] = {}
        plain = h5py.Dataset.__getitem__

        def counted(dataset, key, **options):
            out = plain(dataset, key, **options)
            name = dataset.name.split("/")[-1]
            self.bytes[name] = self.bytes.get(name, 0) + out.nbytes
            return out

        monkeypatch.setattr(h5py.Dataset, "__getitem__", counted)


def test_opening_and_reading_a_region_leave_the_vectors_on_disk(big, monkeypatch):
    counting = Counting(monkeypatch)
    opened = storage.open(big)
    vectors = opened.source.read("exemplars", 0, 1).nbytes * len(opened)
    assert counting.bytes["exemplars"] <= vectors / 4
    assert not [name for name in counting.bytes if name.startswith("lens_")]
    before = dict(counting.bytes)
    opened.region(7)
    assert counting.bytes["exemplars"] == before["exemplars"]
    assert counting.bytes["lens_mean_up_ids"] == 12 * 4


def test_small_files_are_read_whole_on_opening_and_large_ones_in_check(tmp_path, big):
    for path, whole in (
        (storage.save(synthetic(100, 32), tmp_path / "small.ep.h5"), True),
        (big, False),
    ):
        damaged = tmp_path / "damaged.ep.h5"
        damaged.write_bytes(path.read_bytes())
        with h5py.File(damaged, "r+", locking=False) as file:
            vectors = file["geometry/exemplars"]
            row = len(vectors) // 2 + 50 * (not whole)
            vectors[row] = 0
        if whole:
            with pytest.raises(DictionaryFileError, match=f"exemplars, row {row}"):
                storage.open(damaged)
        else:
            storage.open(damaged)
        with pytest.raises(DictionaryFileError, match=f"exemplars, row {row}"):
            storage.check(damaged)


def test_copying_an_opened_file_reads_bounded_blocks(tmp_path, big, monkeypatch):
    largest = 0
    plain = file_module.FileSource.read

    def watched(source, name, start=None, stop=None):
        nonlocal largest
        out = plain(source, name, start, stop)
        largest = max(largest, out.nbytes)
        return out

    monkeypatch.setattr(file_module.FileSource, "read", watched)
    opened = storage.open(big)
    copy = storage.save(opened, tmp_path / "copy.ep.h5")
    assert largest <= BLOCK_BYTES
    assert storage.check(copy) == storage.digest(opened)


def test_storage_loads_nothing_heavy():
    code = (
        "import sys, ep.storage; heavy = {'torch', 'pandas', 'sklearn', 'scipy', 'transformers', "
        "'numba', 'streamlit'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


# -- the digest ------------------------------------------------------------------------------------


def test_equal_builds_have_equal_digests_wherever_they_lie(tmp_path, monkeypatch):
    dictionary = synthetic(60, 16, hostile=True)
    path = storage.save(dictionary, tmp_path / "one.ep.h5")
    again = synthetic(
        60, 16, hostile=True, created="later", wall_time_s=99.0, versions={}, device="cuda"
    )
    monkeypatch.setattr(writing, "CHUNK_BYTES", 100)
    monkeypatch.setattr(writing, "PLAIN_BELOW", 10**9)
    other = storage.save(again, tmp_path / "two.ep.h5")
    assert (
        len(
            {
                storage.digest(dictionary),
                storage.digest(path),
                storage.digest(str(other)),
                storage.check(path),
            }
        )
        == 1
    )


def test_any_difference_changes_the_digest():
    dictionary = synthetic(30, 8)
    pieces = dictionary.source.read("vocabulary_pieces").copy()
    pieces[4], pieces[5] = pieces[4] + pieces[5][:1], pieces[5][1:]
    variants = [
        dictionary,
        changed(dictionary, vocabulary_pieces=pieces),
        changed(dictionary, {"seed": 1}),
    ]
    for name in (
        "center",
        "count_arrival",
        "excerpt_band",
        "lens_mean_up_values",
        "distance_histogram",
    ):
        array = dictionary.source.read(name).copy()
        array.flat[0] += 1
        variants.append(changed(dictionary, **{name: array}))
    variants.append(changed(dictionary, exemplar_mean_cosine=None))
    assert len({storage.digest(variant) for variant in variants}) == len(variants)


# -- threads, replacement, overwriting -------------------------------------------------------------


def test_eight_threads_read_what_one_reads(big):
    opened, rng = storage.open(big), np.random.default_rng(0)
    names = [
        "exemplars",
        "count_arrival",
        "distance_histogram",
        "lens_mean_up_ids",
        "passage_tokens",
    ]
    whole = {name: opened.source.read(name) for name in names}
    wanted = [
        (names[rng.integers(len(names))], int(rng.integers(len(opened)))) for _ in range(2000)
    ]

    def right(request: tuple[str, int]) -> bool:
        name, row = request
        return np.array_equal(opened.source.read(name, row, row + 3), whole[name][row : row + 3])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(right, wanted))


@pytest.mark.slow
def test_many_threads_open_and_read_at_once(tmp_path):
    path = storage.save(synthetic(50, 8), tmp_path / "x.ep.h5")
    expected = storage.open(path).region(9)
    with ThreadPoolExecutor(8) as pool:
        assert all(
            region == expected
            for region in pool.map(lambda _: storage.open(path).region(9), range(16))
        )


def test_an_opened_dictionary_outlives_the_replacement_and_deletion_of_its_file(tmp_path):
    path = storage.save(synthetic(50, 8, seed=1), tmp_path / "x.ep.h5")
    old = storage.open(path)
    expected = synthetic(50, 8, seed=1).region(30)
    storage.save(synthetic(20, 8, seed=2), path)
    assert old.region(30) == expected and len(storage.open(path)) == 20
    path.unlink()
    assert old.region(31) == synthetic(50, 8, seed=1).region(31)


def test_a_file_may_be_replaced_by_its_own_copy(tmp_path):
    path = storage.save(synthetic(50, 8), tmp_path / "x.ep.h5")
    before = storage.digest(path)
    storage.save(storage.open(path), path)
    assert storage.check(path) == before


def test_overwriting_in_place_is_noticed_and_reopening_sees_the_new_content(tmp_path):
    path = storage.save(synthetic(50, 8, seed=1), tmp_path / "x.ep.h5")
    other = storage.save(synthetic(30, 8, seed=2), tmp_path / "y.ep.h5")
    old = storage.open(path)
    path.write_bytes(other.read_bytes())
    with pytest.raises(DictionaryFileError, match="overwritten while open"):
        old.region(0)
    assert storage.digest(path) == storage.digest(other)
    with pytest.raises(DictionaryFileError, match="cannot be read"):
        old.column("coherence")


@pytest.mark.slow
def test_replacing_while_eight_threads_read_never_mixes_two_files(tmp_path):
    versions = {seed: synthetic(60, 8, seed=seed) for seed in (1, 2)}
    path = storage.save(versions[1], tmp_path / "x.ep.h5")
    regions = {seed: d.region(5) for seed, d in versions.items()}
    stop, wrong = threading.Event(), []

    def reader() -> None:
        while not stop.is_set():
            opened = storage.open(path)
            if opened.region(5) != regions[opened.info["seed"]]:
                wrong.append(opened.info["seed"])
            stop.wait(0.02)

    with ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(reader) for _ in range(8)]
        for i in range(4):
            storage.save(versions[1 + i % 2], path)
        stop.set()
        assert [r.result() for r in readers] == [None] * 8
    assert not wrong and [p.name for p in tmp_path.iterdir()] == ["x.ep.h5"]


@pytest.mark.slow
def test_files_close_with_their_last_use(tmp_path):
    path = storage.save(synthetic(10, 4), tmp_path / "x.ep.h5")
    gc.collect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        storage.open(path).region(1)
        with pytest.raises(DictionaryFileError):
            storage.open(tmp_path / "none.ep.h5")
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


# -- failed writes ---------------------------------------------------------------------------------


def no_space(*_args, **_options):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("where", ["_write_array", "_flush", "_check_space"])
def test_a_full_disk_is_one_line_and_changes_nothing(tmp_path, monkeypatch, where):
    path = storage.save(synthetic(10, 4), tmp_path / "x.ep.h5")
    before = path.read_bytes()
    monkeypatch.setattr(writing, where, no_space)
    with pytest.raises(
        StorageError, match="x.ep.h5 could not be written .the disk is full."
    ) as caught:
        storage.save(synthetic(20, 4), path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["x.ep.h5"]


def test_too_little_room_is_known_before_writing(tmp_path, monkeypatch):
    monkeypatch.setattr(writing.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10})())
    with pytest.raises(StorageError, match="the disk is full: at least 0 MB needed"):
        storage.save(synthetic(20, 4), tmp_path / "x.ep.h5")


def test_a_write_stopped_by_the_system_leaves_the_old_file(tmp_path):
    """The kernel refuses to let the file grow, so the error comes out of HDF5 itself."""
    path = storage.save(synthetic(10, 4), tmp_path / "x.ep.h5")
    before = path.read_bytes()
    code = f"""
import resource
from ep import storage
from ep.errors import StorageError
from tests.fixtures.dictionaries import synthetic
big, small = synthetic(2000, 128), synthetic(12, 4)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
for _ in range(2):
    try:
        storage.save(big, {str(path)!r})
    except StorageError as error:
        print(error)
print(len(storage.open(storage.save(small, {str(tmp_path / "small.ep.h5")!r}))))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert (
        len(lines) == 3
        and lines[2] == "12"
        and all("grew beyond the size allowed" in line for line in lines[:2])
    )
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["small.ep.h5", "x.ep.h5"]


def test_interruption_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(writing, "_flush", interrupted)
    with pytest.raises(KeyboardInterrupt):
        storage.save(synthetic(10, 4), tmp_path / "x.ep.h5")
    assert not list(tmp_path.iterdir())


def test_impossible_targets_are_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    for target in (
        tmp_path,
        tmp_path / "none" / "x.ep.h5",
        tmp_path / "file" / "x.ep.h5",
        tmp_path / ("n" * 300),
    ):
        with pytest.raises(StorageError, match="could not be written") as caught:
            storage.save(synthetic(5, 4), target)
        assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_one_line(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="Permission denied"):
        storage.save(synthetic(5, 4), tmp_path / "x.ep.h5")


def test_permissions_follow_the_umask_and_links_stay_links(tmp_path):
    real = storage.save(synthetic(5, 4), tmp_path / "real.ep.h5")
    umask = os.umask(0)
    os.umask(umask)
    assert real.stat().st_mode & 0o777 == 0o666 & ~umask
    link = tmp_path / "link.ep.h5"
    link.symlink_to(real)
    storage.save(synthetic(6, 4), link)
    assert link.is_symlink() and len(storage.open(real)) == 6


@pytest.mark.slow
def test_a_region_of_a_large_file_needs_little_memory(tmp_path):
    """Opening 150 MB of vectors and reading one region raises the peak of a fresh process by a few
    megabytes.
    """
    path = storage.save(synthetic(8000, 2304), tmp_path / "x.ep.h5")
    code = f"""
import resource, ep.storage
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
ep.storage.open({str(path)!r}).region(77)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    kilobytes = int(subprocess.check_output([sys.executable, "-c", code], text=True))
    assert kilobytes * (1 if sys.platform != "darwin" else 1 / 1024) < 40_000
