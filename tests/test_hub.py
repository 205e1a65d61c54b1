"""The Hub through the real client against a server on loopback: what is there, what arrives, what
is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

import ep
from ep.cli import main
from ep.errors import (
    ConfigError,
    DictionaryFileError,
    EPError,
    RequestError,
    ServiceError,
    StorageError,
)
from ep.progress import Report, silent
from ep.storage import Shelf
from ep.storage.hub import (
    KNOWN_REVISION,
    PUBLISHED,
    REPOSITORY,
    Hub,
    dictionaries,
    get,
    import_published,
    in_bytes,
    lookup,
    owner_and_name,
    push,
    remote,
    resolve_key,
)
from ep.storage.hub.importing import DOWNLOADS, local_name, parse
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.hub_server import HubServer, asked
from tests.fixtures.published import library, pickled

BIG = os.urandom(1_500_000)
NAME = "someone/dictionaries"
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """A Hub on loopback, and the client allowed to ask it: with no token, no cache and nowhere else
    to go.
    """
    monkeypatch.setattr(remote.time, "sleep", lambda seconds: None)
    with asked(monkeypatch, tmp_path) as running:
        yield running


@pytest.fixture
def hub(server: HubServer) -> Hub:
    return Hub(server.endpoint)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dictionary in a file."""
    return ep.save(
        synthetic(size=12, width=8, title="Made", family="made"),
        tmp_path_factory.mktemp("made") / "a.ep.h5",
    )


# -- names and the catalogue -----------------------------------------------------------------------


def test_the_catalogue_has_the_thirteen_by_their_names() -> None:
    assert len({p.key for p in PUBLISHED}) == len({p.path for p in PUBLISHED}) == 13
    for published in PUBLISHED:
        assert (
            lookup(published.name)
            is lookup(published.key)
            is resolve_key(f"any-{published.key}")
            is published
        )
        assert published.path.endswith(f"/{published.short}_layer{published.layer}.pkl")
    assert lookup("hub:gemma-2-2b/L12/p10") is lookup("gemma-2-2b/12/10")
    assert (
        lookup("gemma-2-2b/12/3")
        is lookup("someone/dictionaries")
        is resolve_key("demo-tuned/4/2")
        is None
    )


def test_the_card_and_the_files_disagree_on_three() -> None:
    assert {p.key for p in PUBLISHED if p.regions_seen not in (None, p.regions)} == {
        "gemma-2-2b-it/20/2",
        "gemma-2-2b-it/20/4",
        "gemma-2-2b-it/20/8",
    }


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("hub:a/b", ("a/b", None, None)),
        ("hub:a/b@v1", ("a/b", "v1", None)),
        ("hub:a/b/c/d.ep.h5", ("a/b", None, "c/d.ep.h5")),
        ("hub:a/b@0123/c d.ep.h5", ("a/b", "0123", "c d.ep.h5")),
    ],
)
def test_names_of_other_repositories(name: str, parts: tuple[str | None, ...]) -> None:
    assert parse(name) == parts


@pytest.mark.parametrize(
    "name", ["hub:", "hub:a", "a/b", "hub:../../etc", "hub:a/..", "hub:a b/c", "hub:/a/b"]
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(RequestError, match=r"expected|OWNER/REPO"):
        parse(name)


def test_a_pasted_address_is_a_name() -> None:
    assert (
        owner_and_name(" https://huggingface.co/datasets/a/b/ ")
        == owner_and_name("hub:a/b")
        == "a/b"
    )


@pytest.mark.parametrize(
    "path", ["x.ep.h5", "a/b/x.ep.h5", "../../etc/x.ep.h5", ".ep.h5", "a b\n/<x>.ep.h5"]
)
def test_a_file_lies_in_its_repositorys_folder_whatever_it_is_called(
    path: str, tmp_path: Path
) -> None:
    where = (tmp_path / local_name("a/b", path)).resolve()
    assert where.parent == tmp_path / "a--b" and where.name.endswith(".ep.h5")


@pytest.mark.parametrize(
    ("n", "said"),
    [(0, "0 B"), (812, "812 B"), (57e6, "57 MB"), (1.77e9, "1.77 GB"), (999_999, "1 MB")],
)
def test_sizes_for_people(n: float, said: str) -> None:
    assert in_bytes(n) == said


# -- what a repository holds -----------------------------------------------------------------------


def test_a_listing_has_the_commit_the_sizes_and_the_hashes(server: HubServer, hub: Hub) -> None:
    sha = server.add(NAME, {"big.ep.h5": BIG, "README.md": b"small", "b/other.ep.h5": BIG[:2000]})
    listing = hub.listing(NAME)
    assert listing.revision == sha
    assert dictionaries(listing) == ("b/other.ep.h5", "big.ep.h5")
    file = listing.find("big.ep.h5")
    assert (
        file is not None
        and file.size == len(BIG)
        and file.sha256 == hashlib.sha256(BIG).hexdigest()
    )


def test_the_known_revision_is_found_in_the_history(server: HubServer, hub: Hub) -> None:
    known = server.add(REPOSITORY, {"a": b"1"}, KNOWN_REVISION.ljust(40, "f"))
    assert hub.pinned(REPOSITORY, KNOWN_REVISION).revision == known
    server.add(REPOSITORY, {"a": b"2"})
    assert hub.pinned(REPOSITORY, KNOWN_REVISION).revision == known


def test_an_unknown_history_gives_the_newest(server: HubServer, hub: Hub) -> None:
    server.add(REPOSITORY, {"a": b"1"})
    newest = server.add(REPOSITORY, {"a": b"2"})
    assert hub.pinned(REPOSITORY, KNOWN_REVISION).revision == newest


# -- bringing a file -------------------------------------------------------------------------------


def fetch(hub: Hub, folder: Path, path: str = "big.bin", progress: Report = silent) -> bytes:
    revision = hub.listing(NAME).revision
    found, sha256 = hub.download(NAME, path, revision, folder, progress)
    data = found.read_bytes()
    assert hashlib.sha256(data).hexdigest() == sha256
    return data


def ranges(server: HubServer) -> list[str]:
    return [
        asked for method, path, asked in server.asked if method == "GET" and "/resolve/" in path
    ]


@pytest.mark.parametrize("path", ["big.bin", "small.json", "folder/empty"])
def test_a_file_arrives_byte_for_byte(
    path: str, server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    server.add(NAME, {"big.bin": BIG, "small.json": b"{}", "folder/empty": b""})
    assert fetch(hub, tmp_path, path) == server.repositories[NAME].commits[-1][1][path]
    assert not list(tmp_path.glob("*.partial"))


def test_an_older_commit_gives_its_own_bytes(server: HubServer, hub: Hub, tmp_path: Path) -> None:
    old = server.add(NAME, {"x": BIG})
    server.add(NAME, {"x": BIG[::-1]})
    assert hub.download(NAME, "x", old, tmp_path)[0].read_bytes() == BIG


@pytest.mark.parametrize("cuts", [[700_000], [1, 2, 3, 700_000], [300_000] * 4])
def test_a_cut_connection_is_taken_up_again(
    cuts: list[int], server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    server.add(NAME, {"big.bin": BIG})
    server.behaviour.cut_after = list(cuts)
    assert fetch(hub, tmp_path) == BIG
    assert len(ranges(server)) == len(cuts) + 1


def test_what_an_earlier_attempt_left_is_continued(
    server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    server.add(NAME, {"big.bin": BIG})

    def stop(said: str, share: float | None) -> None:
        if share and share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(hub, tmp_path, progress=stop)
    (left,) = tmp_path.glob("*.partial")
    have = left.stat().st_size
    assert have > 0.4 * len(BIG)
    assert fetch(hub, tmp_path) == BIG
    assert ranges(server)[-1] == f"bytes={have}-"


def test_a_server_without_ranges_sends_it_from_the_start(
    server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    server.add(NAME, {"big.bin": BIG})
    server.behaviour.cut_after, server.behaviour.ignore_ranges = [700_000], True
    assert fetch(hub, tmp_path) == BIG


def test_a_connection_that_never_holds_ends_in_one_line(
    server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    server.add(NAME, {"big.bin": BIG})
    server.behaviour.cut_after = [0] * 20
    with pytest.raises(ServiceError, match=r"reached|breaks off"):
        fetch(hub, tmp_path)
    assert len(ranges(server)) == remote.ATTEMPTS


def test_other_bytes_than_the_hub_promised_are_refused(
    server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    server.add(NAME, {"big.bin": BIG, "small": b"x"})
    server.behaviour.forged = {"big.bin": "0" * 64, "small": "0" * 40}
    for path in ("big.bin", "small"):
        with pytest.raises(ServiceError, match="another hash"):
            fetch(hub, tmp_path, path)
    assert list(tmp_path.iterdir()) == []


def test_progress_never_goes_back_and_ends_at_one(
    server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    server.add(NAME, {"big.bin": BIG})
    server.behaviour.cut_after, server.behaviour.ignore_ranges = [700_000, 900_000], True
    told: list[float] = []
    fetch(hub, tmp_path, progress=lambda said, share: told.append(share or 0.0))
    assert told == sorted(told) and told[-1] == 1.0 and len(told) > 5


def test_a_full_disk_is_noticed_before_the_first_byte(
    server: HubServer, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add(NAME, {"big.bin": BIG})
    monkeypatch.setattr(
        remote.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1_000_000})
    )
    with pytest.raises(StorageError, match=r"1\.5 MB .* 1 MB are free"):
        fetch(hub, tmp_path)
    assert ranges(server) == []


def test_two_downloads_of_one_file_do_not_mix(server: HubServer, hub: Hub, tmp_path: Path) -> None:
    server.add(NAME, {"big.bin": BIG})
    with pytest.raises(ServiceError, match="already"):
        fetch(hub, tmp_path, progress=lambda said, share: fetch(hub, tmp_path) and None)
    assert fetch(hub, tmp_path) == BIG


# -- what is refused -------------------------------------------------------------------------------

REFUSED = [
    (401, "", "", RequestError, "private: then log in"),
    (401, "GatedRepo", "", RequestError, "is gated"),
    (403, "GatedRepo", "", RequestError, "is gated"),
    (403, "", "", RequestError, "no right"),
    (404, "RepoNotFound", "", RequestError, "no such dataset"),
    (404, "RevisionNotFound", "", RequestError, "no such revision"),
    (404, "EntryNotFound", "", RequestError, "no such file"),
    (404, "", "", RequestError, "not on the Hub"),
    (429, "", "37", ServiceError, "wait 37 s"),
    (429, "", "", ServiceError, "wait a few minutes"),
    (500, "", "", ServiceError, r"internal error \(500\)"),
    (503, "", "", ServiceError, r"internal error \(503\)"),
    (400, "", "", RequestError, r"refused the request \(status 400\)"),
]


@pytest.mark.parametrize(("status", "code", "retry", "kind", "said"), REFUSED)
@pytest.mark.parametrize("part", ["/api/", "HEAD ", "GET /datasets/"])
def test_a_refusal_is_one_clear_line(
    part: str,
    status: int,
    code: str,
    retry: str,
    kind: type[EPError],
    said: str,
    server: HubServer,
    tmp_path: Path,
) -> None:
    server.add(NAME, {"big.bin": BIG})
    hub, revision = Hub(server.endpoint), server.repositories[NAME].commits[-1][0]
    server.behaviour.refuse = {part: (status, code, retry)}
    with pytest.raises(kind, match=said) as caught:
        hub.listing(NAME) if part == "/api/" else hub.download(NAME, "big.bin", revision, tmp_path)
    assert "\n" not in str(caught.value) and str(caught.value).startswith(NAME)


def test_what_is_not_there_is_said(server: HubServer, hub: Hub, tmp_path: Path) -> None:
    revision = server.add(NAME, {"big.bin": BIG})
    with pytest.raises(RequestError, match="no such dataset"):
        hub.listing("nobody/nothing")
    with pytest.raises(RequestError, match="no such revision"):
        hub.listing(NAME, "v9")
    with pytest.raises(RequestError, match="no such file"):
        hub.download(NAME, "other.bin", revision, tmp_path)


def test_offline_and_unreachable_are_said_at_once(
    server: HubServer, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ServiceError, match="cannot be reached"):
        Hub("http://127.0.0.1:9").listing(NAME)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ServiceError, match="HF_HUB_OFFLINE"):
        hub.listing(NAME)
    assert server.asked == []


def test_a_silent_server_is_left(
    server: HubServer, hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.add(NAME, {"big.bin": BIG})
    server.behaviour.slow = 1.0
    monkeypatch.setattr(remote, "SILENCE_S", 0.05)
    monkeypatch.setattr(remote, "ATTEMPTS", 2)
    with pytest.raises(ServiceError, match="in time"):
        fetch(hub, tmp_path)


def test_the_token_goes_to_the_hub_that_was_asked_and_into_no_message(
    server: HubServer, tmp_path: Path
) -> None:
    server.add(NAME, {"big.bin": BIG})
    hub = Hub(server.endpoint, token="hf_secretsecretsecret")
    fetch(hub, tmp_path)
    assert set(server.tokens) == {"Bearer hf_secretsecretsecret"}
    server.behaviour.refuse = {"/api/": (403, "", "")}
    with pytest.raises(RequestError) as caught:
        hub.listing(NAME)
    assert "secret" not in str(caught.value)


def test_a_large_file_from_another_host_gets_no_token(server: HubServer, tmp_path: Path) -> None:
    revision = server.add(NAME, {"big.bin": BIG})
    with HubServer().running() as elsewhere:
        elsewhere.add(NAME, {"big.bin": BIG}, revision)
        elsewhere.behaviour.cut_after = [700_000]
        server.behaviour.elsewhere = elsewhere
        assert fetch(Hub(server.endpoint, token="hf_secretsecretsecret"), tmp_path) == BIG
        assert [asked for method, _, asked in elsewhere.asked if method == "GET"][-1].startswith(
            "bytes="
        )
    assert server.tokens and not elsewhere.tokens


# -- a dictionary from any repository --------------------------------------------------------------


def test_the_only_dictionary_of_a_repository_needs_no_path(
    server: HubServer, hub: Hub, made: Path, tmp_path: Path
) -> None:
    server.add(NAME, {"sub/a.ep.h5": made.read_bytes()})
    path = import_published(f"hub:{NAME}", tmp_path, hub=hub)
    assert path.read_bytes() == made.read_bytes()
    assert [entry.path for entry in Shelf((tmp_path,)).entries] == [path]
    assert not list(tmp_path.rglob(DOWNLOADS))


def test_of_several_one_is_named(server: HubServer, hub: Hub, made: Path, tmp_path: Path) -> None:
    server.add(NAME, {"a.ep.h5": made.read_bytes(), "b.ep.h5": made.read_bytes()})
    with pytest.raises(
        RequestError, match=r"2 dictionaries: name one, hub:.*/FILE, of a\.ep\.h5, b\.ep\.h5"
    ):
        import_published(f"hub:{NAME}", tmp_path, hub=hub)
    out = tmp_path / "mine.ep.h5"
    assert import_published(f"hub:{NAME}/b.ep.h5", out, hub=hub) == out
    with pytest.raises(RequestError, match=r"has no c\.ep\.h5"):
        import_published(f"hub:{NAME}/c.ep.h5", tmp_path, hub=hub)


def test_what_is_no_dictionary_never_joins_the_shelf(
    server: HubServer, hub: Hub, made: Path, tmp_path: Path
) -> None:
    damaged = bytearray(made.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    server.add(NAME, {"a.ep.h5": b"no dictionary at all", "b.ep.h5": bytes(damaged)})
    listing = hub.listing(NAME)
    for path in dictionaries(listing):
        with pytest.raises(DictionaryFileError, match=rf"{NAME}/{path}") as caught:
            get(listing, path, tmp_path / "x" / path, hub=hub)
        assert str(tmp_path) not in str(caught.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


# -- a published pickle ----------------------------------------------------------------------------

PICKLED = lookup("hub:gemma-2-2b-it/20/8")


@pytest.fixture
def published(server: HubServer) -> dict[str, bytes]:
    """A small pickle in the published layout at the place of a large one, with its JSON."""
    assert PICKLED is not None
    data = pickled(library(synthetic(size=12, width=16)))
    settings = {
        "model": PICKLED.model,
        "model_short": PICKLED.short,
        "layer": 20,
        "percentile": 8.0,
    }
    metadata = {
        "discovery_config": settings,
        "discovery": {"n_partitions": 14, "threshold": 0.9, "n_activations": 900},
    }
    files = {PICKLED.path: data, PICKLED.metadata: json.dumps(metadata).encode()}
    server.add(REPOSITORY, files, KNOWN_REVISION.ljust(40, "a"))
    return files


def test_a_published_name_becomes_a_dictionary_that_says_where_it_is_from(
    server: HubServer, hub: Hub, published: dict[str, bytes], tmp_path: Path
) -> None:
    assert PICKLED is not None
    shares: list[float] = []
    path = import_published(
        PICKLED.name,
        tmp_path,
        lambda said, share: shares.append(share) if share is not None else None,
        hub=hub,
    )
    said = ep.open(path).info["published"]
    assert said["repository"] == REPOSITORY and said["file"] == PICKLED.path
    assert said["revision"] == KNOWN_REVISION.ljust(40, "a")
    assert said["sha256"] == hashlib.sha256(published[PICKLED.path]).hexdigest()
    assert (said["card_regions"], said["metadata_regions"], said["regions"]) == (252, 14, 12)
    assert shares == sorted(shares) and shares[-1] <= 1
    (entry,) = Shelf((tmp_path,)).entries
    assert resolve_key(entry.key) is PICKLED
    assert not list(tmp_path.rglob("*.pkl")) and not (tmp_path / DOWNLOADS).exists()


def test_a_published_dictionary_without_its_json_says_what_its_names_say(
    server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    assert PICKLED is not None
    data = pickled(library(synthetic(size=12, width=16)))
    server.add(REPOSITORY, {PICKLED.path: data}, KNOWN_REVISION.ljust(40, "a"))
    info = ep.open(import_published(PICKLED.name, tmp_path, hub=hub)).info
    assert (info["model"], info["layer"], info["percentile"]) == (PICKLED.model, 20, 8.0)
    assert not (tmp_path / DOWNLOADS).exists()


def test_the_pickle_stays_when_asked_and_is_not_downloaded_again(
    server: HubServer, hub: Hub, published: dict[str, bytes], tmp_path: Path
) -> None:
    assert PICKLED is not None
    import_published(PICKLED.name, tmp_path / "a", hub=hub, keep=True)
    (kept,) = (tmp_path / "a" / DOWNLOADS).iterdir()
    assert kept.read_bytes() == published[PICKLED.path]
    server.asked.clear()
    import_published(PICKLED.name, tmp_path / "a", hub=hub)
    assert not any(method == "GET" and path.endswith(".pkl") for method, path, _ in server.asked)


def test_a_hostile_pickle_is_refused_by_its_published_name(
    server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    assert PICKLED is not None
    hostile = pickle.dumps(Evil(), protocol=5) + bytes(2000)
    server.add(
        REPOSITORY, {PICKLED.path: hostile, PICKLED.metadata: b"{}"}, KNOWN_REVISION.ljust(40, "a")
    )
    with pytest.raises(DictionaryFileError, match=rf"{REPOSITORY}/{PICKLED.path}") as caught:
        import_published(PICKLED.name, tmp_path, hub=hub)
    assert str(tmp_path) not in str(caught.value)
    assert not (tmp_path / "pwned").exists() and Shelf((tmp_path,)).entries == ()


class Evil:
    """Would make a file if it were unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch pwned",)


# -- giving one to others --------------------------------------------------------------------------


def pushed_files(server: HubServer, name: str = NAME) -> dict[str, bytes]:
    return server.repositories[name].commits[-1][1]


def test_push_then_import_is_the_same_dictionary(
    server: HubServer, made: Path, tmp_path: Path
) -> None:
    hub = Hub(server.endpoint, token="hf_x")
    done = push(made, NAME, hub=hub, licence="cc-by-4.0")
    assert done.url is not None and done.files == ("a.ep.h5",)
    files = pushed_files(server)
    assert files["a.ep.h5"] == made.read_bytes()
    # a large file goes through the LFS door
    assert hashlib.sha256(files["a.ep.h5"]).hexdigest() in server.lfs
    assert b"license: cc-by-4.0" in files["README.md"]
    path = import_published(f"hub:{NAME}", tmp_path, hub=hub)
    assert ep.storage.digest(path) == ep.storage.digest(made)


def test_a_second_push_keeps_the_first_in_card_and_index(
    server: HubServer, made: Path, tmp_path: Path
) -> None:
    hub = Hub(server.endpoint, token="hf_x")
    other = ep.save(synthetic(size=9, width=8, seed=4, family="other"), tmp_path / "b.ep.h5")
    push(made, NAME, hub=hub)
    push(other, NAME, hub=hub)
    files = pushed_files(server)
    assert {"a.ep.h5", "b.ep.h5"} <= set(files)
    assert all(name in files["ep-index.json"] for name in (b"a.ep.h5", b"b.ep.h5"))
    assert files["README.md"].count(b".ep.h5 |") == 2


def test_somebodys_own_card_is_left_alone(server: HubServer, made: Path) -> None:
    server.add(NAME, {"README.md": b"mine"})
    done = push(made, NAME, hub=Hub(server.endpoint, token="hf_x"))
    assert done.card is None and pushed_files(server)["README.md"] == b"mine"


def test_private_is_private_or_nothing_is_sent(server: HubServer, made: Path) -> None:
    hub = Hub(server.endpoint, token="hf_x")
    push(made, NAME, private=True, hub=hub)
    assert server.repositories[NAME].private
    server.add("me/open", {})
    with pytest.raises(RequestError, match="is public"):
        push(made, "me/open", private=True, hub=hub)
    assert pushed_files(server, "me/open") == {}


def test_a_family_and_a_folder_go_together(server: HubServer, tmp_path: Path) -> None:
    for number, family in enumerate(("x", "x", "y")):
        dictionary = synthetic(
            size=8, width=8, seed=number, family=family, percentile=float(number + 1)
        )
        ep.save(dictionary, tmp_path / f"{number}.ep.h5")
    hub = Hub(server.endpoint)
    assert push(tmp_path / "0.ep.h5", NAME, dry_run=True, hub=hub).files == ("0.ep.h5",)
    assert push(tmp_path / "0.ep.h5", NAME, family=True, dry_run=True, hub=hub).files == (
        "0.ep.h5",
        "1.ep.h5",
    )
    assert len(push(tmp_path, NAME, dry_run=True, hub=hub).files) == 3
    assert server.asked == []


def test_no_path_and_no_secret_leaves_this_machine(server: HubServer, tmp_path: Path) -> None:
    secret = "hf_" + "A" * 34
    dictionary = synthetic(size=8, width=8, family="f")
    dictionary.info.update(
        model="../../models/mine",
        title=f"of /home/me/private/plan.txt and {secret}",
        corpus={
            "name": "C:\\Users\\me\\texts\\a.txt",
            "files": ["/data/x/b.txt", "~/c.txt", "https://example.org/d/e"],
        },
        group_names=[[" /", "//", "/home"]],
    )
    path = ep.save(dictionary, tmp_path / "a.ep.h5")
    before = path.read_bytes()
    done = push(path, NAME, hub=Hub(server.endpoint, token="hf_x"))
    assert path.read_bytes() == before
    assert set(done.cleaned["a.ep.h5"]) == {"model", "title", "corpus"}
    (tmp_path / "back").mkdir()
    sent = tmp_path / "back" / "a.ep.h5"
    sent.write_bytes(pushed_files(server)["a.ep.h5"])
    info = ep.open(sent).info
    assert (
        info["title"] == "of plan.txt and …"
        and info["model_name"] == "mine"
        and "model" not in info
    )
    assert info["corpus"] == {
        "name": "a.txt",
        "files": ["b.txt", "c.txt", "https://example.org/d/e"],
    }
    assert info["group_names"] == [[" /", "//", "/home"]]
    everything = b"".join(pushed_files(server).values())
    assert not any(
        word in everything for word in (b"/home/me", b"Users", secret.encode(), b"../models")
    )


def test_the_card_shows_titles_as_text(tmp_path: Path) -> None:
    title = "<script>x</script> | [a](http://b) **c** `d` $e$ \n---\nlicense: mit\u202e"
    path = ep.save(synthetic(size=8, width=8, title=title, family="f"), tmp_path / "a.ep.h5")
    done = push(path, "me/x", dry_run=True)
    assert done.card is not None
    header, body = done.card.removeprefix("---\n").split("\n---\n", 1)
    assert (
        header.splitlines()[0] == "license: unknown" and "license: mit" not in header.splitlines()
    )
    assert (
        "<script" not in body
        and "](http" not in body
        and "**c**" not in body
        and "\u202e" not in done.card
    )
    assert "&lt;script&gt;" in body


@pytest.mark.parametrize("wrong", ["nothing.ep.h5", "."])
def test_push_of_nothing_is_refused(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(DictionaryFileError):
        push(tmp_path / wrong, NAME, dry_run=True)


def test_a_refused_push_is_one_line(server: HubServer, made: Path) -> None:
    hub = Hub(server.endpoint, token="hf_x")
    server.behaviour.refuse = {"/api/repos/create": (403, "", "")}
    with pytest.raises(RequestError, match="no right"):
        push(made, NAME, hub=hub)
    server.behaviour.refuse = {"/lfs/": (403, "", "")}
    with pytest.raises(RequestError, match="no right"):
        push(made, NAME, hub=hub)


# -- from outside ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_line_pushes_to_the_hub_of_the_environment(
    server: HubServer, made: Path, tmp_path: Path
) -> None:
    environment = os.environ | {
        "HF_ENDPOINT": server.endpoint,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HOME": str(tmp_path / "hf"),
        "HF_TOKEN": "hf_x",
    }

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ep", *words],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )

    dry = run("push", str(made), NAME, "--dry-run")
    assert dry.returncode == 0 and "| a.ep.h5 |" in dry.stdout and NAME not in server.repositories
    done = run("push", str(made), NAME)
    assert done.returncode == 0, done.stderr
    assert "/commit/" in done.stdout and "a.ep.h5" in pushed_files(server)
    refused = run("push", str(made), "not a name")
    assert (
        refused.returncode == 2
        and refused.stderr.count("\n") == 1
        and "OWNER/REPO" in refused.stderr
    )


# -- what is there already -------------------------------------------------------------------------


def test_an_import_replaces_nothing_but_its_like(
    server: HubServer, hub: Hub, made: Path, tmp_path: Path
) -> None:
    """Asked before the download; what is there stays as it is, byte for byte."""
    server.add(NAME, {"a.ep.h5": made.read_bytes()})
    path = import_published(f"hub:{NAME}", tmp_path, hub=hub)
    assert import_published(f"hub:{NAME}", tmp_path, hub=hub) == path  # the same file
    others = (b"not a dictionary", ep.save(synthetic(size=5), tmp_path / "o.ep.h5").read_bytes())
    for other in others:
        path.write_bytes(other)
        server.asked.clear()
        with pytest.raises(ConfigError, match="give --replace"):
            import_published(f"hub:{NAME}", tmp_path, hub=hub)
        assert path.read_bytes() == other
        assert not [asked for asked in server.asked if "/resolve/" in asked[1]]
    import_published(f"hub:{NAME}", tmp_path, hub=hub, replace=True)
    assert path.read_bytes() == made.read_bytes()


def test_a_published_file_is_imported_again_unless_something_was_added(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pickle_file, out = tmp_path / "x_layer3.pkl", tmp_path / "x.ep.h5"
    pickle_file.write_bytes(pickled(library(synthetic(size=12, width=16))))
    command = ["import", str(pickle_file), "--out", str(out)]
    assert main(command) == main(command) == 0
    dictionary = ep.open(out)
    info = dict(dictionary.info) | {"completed": {"model": "m"}}
    ep.save(ep.Dictionary(dictionary.source, info, len(dictionary)), tmp_path / "done.ep.h5")
    (tmp_path / "done.ep.h5").replace(out)
    capsys.readouterr()
    assert main(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"ep: {out} exists, and is not what would be imported: choose another")
    assert "completed" in ep.open(out).info
    assert main([*command, "--replace"]) == 0 and "completed" not in ep.open(out).info
