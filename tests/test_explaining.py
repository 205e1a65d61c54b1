"""Labels by an endpoint, against a real server on this machine: good ones, and every way a server
can misbehave.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

import ep
from ep.cli import main
from ep.errors import RequestError, ServiceError
from ep.method.dictionary import Dictionary
from ep.method.source import MemorySource
from ep.models import endpoint
from ep.models.endpoint import MOST_BYTES, Endpoint
from ep.storage import edits
from ep.storage.labels import Labels
from ep.studies.evidence import HELD, SHOWN, gather
from ep.studies.explaining import detect, explain, judging, naming, read_label, read_numbers
from ep.studies.labelling import Outcome, control_label, label_regions
from ep.studies.naming import automatic
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.endpoint import (
    Behaviour,
    completion,
    fails,
    good_reader,
    says,
    send,
    serving,
    waits,
)

KEY = "sk-quite-secret-0123456789"
ASKED = [{"role": "user", "content": "hello"}]


def impatient(url: str, **parts: object) -> Endpoint:
    return replace(Endpoint(url, "reader", KEY, timeout=2.0, tries=3, pause=0.05), **parts)


@pytest.fixture(scope="module")
def dictionary() -> Dictionary:
    return synthetic(size=60, seed=4)


# -- evidence --------------------------------------------------------------------------------------


def test_what_tests_a_label_was_never_shown(dictionary: Dictionary) -> None:
    for k in range(10):
        for negatives in (True, False):
            found = gather(dictionary, k, negatives)
            assert found == gather(dictionary, k, negatives) and len(found.shown) <= SHOWN
            shown = {snippet.text for snippet in (*found.shown, *found.against)}
            assert not shown & {snippet.text for snippet in found.held}
            assert len({snippet.text for snippet in found.held}) == len(found.held)
            assert all(s.fits for s in found.shown) and not any(s.fits for s in found.against)
            assert sum(s.fits for s in found.held) <= HELD and bool(found.against) <= negatives
            assert all(
                s.text.count("[[") == s.text.count("]]") == 1 and "\n" not in s.text
                for s in found.held
            )


def test_the_seed_decides_what_is_held_back(dictionary: Dictionary) -> None:
    assert gather(dictionary, 1, seed=1) != gather(dictionary, 1, seed=2)


def test_bands_are_mixed_and_the_closest_come_first(dictionary: Dictionary) -> None:
    k = max(range(60), key=lambda k: len(dictionary.excerpts(k)))
    bands = [snippet.band for snippet in gather(dictionary, k).shown]
    assert set(bands) == {"near", "spread", "far"}
    assert bands == sorted(bands, key=("near", "spread", "far").index)


def test_hostile_passages_make_plain_snippets() -> None:
    hostile = synthetic(size=60, seed=2, hostile=True)
    for k in range(0, 60, 6):
        conversation = naming(gather(hostile, k))
        assert all(len(line) < 1200 for line in conversation[1]["content"].splitlines())


# -- reading answers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("refusals after I am", "refusals after I am"),
        ('"Refusals."\n', "Refusals"),
        (
            "Sure! Here is a label:\n\n**Names of capitals**\n\nLet me know if you need more.",
            "Names of capitals",
        ),
        ("Label: capitals of Africa", "capitals of Africa"),
        ("The label is: capitals", "The label is: capitals"),
        ("<think>many words\nand more</think>\n`code`", "code"),
        ("```\nopening brackets\n```", "opening brackets"),
        ("a " * 500, "a " * 99 + "a…"),
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1"),
    ],
)
def test_a_label_is_found_in_what_a_model_says(answer: str, label: str) -> None:
    assert read_label(answer).startswith(label.split("(1")[0]) and "\n" not in read_label(answer)
    if "<img" not in answer:
        assert read_label(answer) == label


@pytest.mark.parametrize("answer", ["", " \n ", "<think>never ends", "**", "```\n```", '""'])
def test_an_answer_without_a_label_is_refused(answer: str) -> None:
    with pytest.raises(ServiceError, match="nothing that could be a label"):
        read_label(answer)


@pytest.mark.parametrize(
    ("answer", "numbers"),
    [
        ("[1, 3]", {1, 3}),
        ("[]", set()),
        ("Those are: [2]. I left out 4.", {2}),
        ("First [1], then finally [2, 3]", {2, 3}),
        ("1, 2, 5", {1, 2, 5}),
        ("none.", set()),
        ("<think>[1]</think>[4]", {4}),
        ("snippets 1 and 2 of 5", None),
        ("[6]", None),
        ("[0]", set()),
        ("", None),
        ("yes", None),
        ("[" * 100_000, None),
    ],
)
def test_a_judgement_is_read_for_sure_or_not_at_all(answer: str, numbers: set[int] | None) -> None:
    found = read_numbers(answer, 5)
    assert found == (None if numbers is None else frozenset(numbers))


# -- labels and scores -----------------------------------------------------------------------------


def test_the_score_is_balanced_accuracy_and_its_interval_holds_it(dictionary: Dictionary) -> None:
    held = gather(dictionary, 0).held
    right = [i for i, snippet in enumerate(held, start=1) if snippet.fits]
    everything = list(range(1, len(held) + 1))
    for answer, value in ((right, 1.0), ([], 0.5), (everything, 0.5)):
        score = detect("any", held, lambda messages, said=str(answer): said)
        assert score is not None and score.value == value and score.n == len(held)
        assert 0 <= score.low <= score.value <= score.high <= 1
    wrong = [i for i in everything if i not in right]
    assert detect("any", held, lambda messages: str(wrong)).value == 0.0
    assert detect("any", held, lambda messages: "hm") is None


def test_a_label_too_long_to_ask_about_is_cut() -> None:
    assert len(judging("x " * 10_000, ())[1]["content"]) < 1000


def test_a_region_without_excerpts_is_refused() -> None:
    bare = synthetic(size=4)
    arrays = {n: bare.column(n) for n in bare.source._arrays if not n.startswith("excerpt_")}
    with pytest.raises(RequestError, match="at least two"):
        explain(
            Dictionary(MemorySource(arrays), bare.info, 4),
            1,
            lambda messages: "x",
        )


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Labels, Dictionary]:
    ep.save(synthetic(size=60, seed=4), tmp_path / "d.ep.h5")
    dictionary = ep.open(tmp_path / "d.ep.h5")
    names = automatic(dictionary)
    return replace(
        Labels.open(tmp_path / "d.ep.h5", dictionary), automatic_texts=lambda: names
    ), dictionary


def test_a_good_labeller_labels_scores_and_is_tested_against_a_control(
    stored: tuple[Labels, Dictionary],
) -> None:
    labels, dictionary = stored
    with serving(good_reader) as server:
        out = Outcome(labels)
        label_regions(out, dictionary, range(12), impatient(server.url), by="ann")
        poor = [k for k in range(12) if len(gather(dictionary, k).shown) < 2]
        assert [f.region for f in out.failed] == poor and len(out.given) == 12 - len(poor) >= 8
        scored = [e for e in out.given if e.score is not None]
        assert len(server.seen) == len(out.given) + 2 * len(scored) and len(scored) >= 6
    found = Labels.open(labels.path)
    for e in scored:
        (label,) = found.stored(e.region)
        assert (label.text, label.source, label.by) == (
            e.text,
            f"model:reader@{server.url[7:-3]}",
            "ann",
        )
        assert (
            label.score == e.score.value and label.interval[0] <= label.score <= label.interval[1]
        )
        assert label.n == e.score.n and label.control is not None
    assert all(seen.key == KEY and seen.path == "/v1/chat/completions" for seen in server.seen)


def test_a_second_label_of_a_model_takes_the_place_of_its_first_and_spares_what_is_locked(
    stored: tuple[Labels, Dictionary],
) -> None:
    labels, dictionary = stored
    labels = labels.save(edits.label(0, "mine", locked=True), edits.label(1, "by hand"))
    with serving(says("one thing")) as server:
        for _ in range(2):
            out = Outcome(labels)
            label_regions(out, dictionary, [0, 1, 2], impatient(server.url), control=False)
            labels = out.labels
    assert [e.region for e in out.given] == [1, 2]
    assert [label.text for label in labels.stored(0)] == ["mine"]
    assert [label.text for label in labels.stored(1)] == ["by hand", "one thing"]
    assert len(labels.stored(2)) == 1 and labels.stored(2)[0].score is None


def test_the_control_is_another_regions_label(stored: tuple[Labels, Dictionary]) -> None:
    labels, _ = stored
    assert all(
        control_label(labels, k) in [labels.best(other) for other in range(60) if other != k]
        for k in range(9)
    )
    assert control_label(labels, 3) == control_label(labels, 3) != control_label(labels, 3, seed=1)
    assert control_label(replace(labels, automatic_texts=tuple), 3) == ""


def test_cancelling_keeps_what_was_done_and_ends_the_wait_at_once(
    stored: tuple[Labels, Dictionary],
) -> None:
    labels, dictionary = stored
    release, answered = Event(), Event()

    def slow_at_last(handler: object, seen: object, n: int) -> None:
        if n > 2:
            release.wait(20)
            answered.set()
        send(handler, completion("a label"))

    class Stop(Exception):
        pass

    out, begun = Outcome(labels), time.monotonic()

    def report(said: str, share: float | None) -> None:
        if len(out.given) == 1 and time.monotonic() - begun > 0.5:
            raise Stop

    with serving(slow_at_last) as server:
        with pytest.raises(Stop):
            label_regions(
                out,
                dictionary,
                [0, 1, 2],
                impatient(server.url, timeout=15.0),
                control=False,
                report=report,
            )
        assert not answered.is_set(), "the answer was waited for"
        release.set()
    assert [e.region for e in out.given] == [0] and Labels.open(labels.path).best(0) == "a label"


def test_one_bad_answer_is_skipped_and_three_in_a_row_end_it(
    stored: tuple[Labels, Dictionary],
) -> None:
    labels, dictionary = stored
    with serving(says("", "good", "[1]", "")) as server:
        out = Outcome(labels)
        with pytest.raises(ServiceError, match="nothing that could be"):
            label_regions(out, dictionary, range(10), impatient(server.url), control=False)
    assert [f.region for f in out.failed] == [0, 2, 3] and [e.text for e in out.given] == ["good"]
    assert (
        out.summary().startswith("1 region labelled, mean detection")
        and "3 got no label" in out.summary()
    )


# -- servers ---------------------------------------------------------------------------------------


def test_an_answer_comes_back_whatever_its_form() -> None:
    parts = [{"type": "text", "text": "two "}, {"type": "text", "text": "parts"}, {"type": "image"}]
    with serving(says("plain", parts)) as server:
        endpoint = impatient(server.url + "/")
        assert [endpoint.ask(ASKED), endpoint.ask(ASKED)] == ["plain", "two parts"]
    body = server.seen[0].body
    assert (body["model"], body["messages"], body["temperature"]) == ("reader", ASKED, 0)


@pytest.mark.parametrize(
    ("behave", "error", "why"),
    [
        (fails(401, f"Incorrect API key provided: {KEY}"), RequestError, "refused the key"),
        (fails(403), RequestError, "refused the key"),
        (
            fails(404, "no such model\n\x1b[31m"),
            RequestError,
            "does not know this address or model",
        ),
        (fails(400, "x" * 10_000), RequestError, "refused the request"),
        (fails(500), ServiceError, "is busy or failing .500., after 3 tries"),
        (lambda h, s, n: send(h, b"{not json"), ServiceError, "not a chat completion"),
        (lambda h, s, n: send(h, b"[" * 100_000), ServiceError, "not a chat completion"),
        (lambda h, s, n: send(h, b'{"choices": []}'), ServiceError, "not a chat completion"),
        (says(None), ServiceError, "not a chat completion"),
        (lambda h, s, n: send(h, b" " * (MOST_BYTES + 1)), ServiceError, "more than 1 MB"),
        (lambda h, s, n: h.wfile.write(b"nonsense\r\n\r\n"), ServiceError, "sent no valid answer"),
        (waits(0.6), ServiceError, "did not answer in 0.2 s"),
    ],
)
def test_a_server_that_misbehaves_is_a_sentence_without_the_key(
    behave: Behaviour, error: type[Exception], why: str
) -> None:
    timeout = 0.2 if "did not answer" in why else 5.0
    with serving(behave) as server, pytest.raises(error, match=why) as raised:
        impatient(server.url, timeout=timeout).ask(ASKED)
    assert (
        KEY not in str(raised.value)
        and "\n" not in str(raised.value)
        and len(str(raised.value)) < 400
    )


def test_who_comes_too_late_is_named_so_whoever_notices_first() -> None:
    """On a busy machine the socket's own clock may run out before the waiting one looks."""
    with (
        serving(waits(1.5)) as server,
        pytest.raises(ServiceError, match="did not answer in 0.2 s"),
    ):
        impatient(server.url, timeout=0.2, tries=1).ask(ASKED, pulse=lambda: time.sleep(0.5))


def test_a_busy_server_is_asked_again_and_its_wish_to_wait_is_heeded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(fails(429, times=2, then=says("at last"), Retry_After="0")) as server:
        assert impatient(server.url).ask(ASKED) == "at last" and len(server.seen) == 3
    waited, wait = [], endpoint._sleep

    def record(seconds: float, pulse: Callable[[], None], until: Event | None = None) -> None:
        waited.append(seconds) if until is None else wait(seconds, pulse, until)

    monkeypatch.setattr(endpoint, "_sleep", record)
    with serving(fails(429, times=1, then=says("later"), Retry_After="7")) as server:
        assert impatient(server.url).ask(ASKED) == "later" and waited == [7.0]


def test_nobody_there_is_a_sentence() -> None:
    with pytest.raises(ServiceError, match="cannot be reached .Connection refused., after 2 tries"):
        impatient("http://127.0.0.1:9/v1", tries=2).ask(ASKED)


def _sends_on(where: Callable[[str], str], status: int) -> Behaviour:
    def behave(handler: object, seen: object, n: int) -> None:
        if seen.path.endswith("/there"):
            send(handler, completion("arrived"))
        else:
            send(handler, b"", status, Location=where(handler.headers["Host"]))

    return behave


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_followed_on_the_same_server_only(status: int) -> None:
    with serving(_sends_on(lambda host: f"http://{host}/there", status)) as server:
        assert impatient(server.url).ask(ASKED) == "arrived"
        assert server.seen[-1].key == KEY and server.seen[-1].body["messages"] == ASKED
    with serving(says("stolen")) as other:
        for elsewhere in (
            other.url,
            other.url.replace("127.0.0.1", "localhost"),
            "http://169.254.169.254/",
            "file:///",
        ):
            with (
                serving(_sends_on(lambda host, to=elsewhere: to, status)) as server,
                pytest.raises(RequestError),
            ):
                impatient(server.url).ask(ASKED)
        assert not other.seen


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "ftp://h/v1",
        "file:///etc/passwd",
        "http://",
        "http://h:99999/",
        "http://a b/",
        "http://h\n/",
        "//h",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(RequestError, match="not the address of a server"):
        Endpoint(url, "m")


def test_keys_in_addresses_links_to_metadata_and_bad_names_are_refused() -> None:
    with pytest.raises(RequestError, match="give the key separately") as raised:
        Endpoint(f"http://me:{KEY}@h/v1", "m")
    assert KEY not in str(raised.value)
    for url in (
        "http://169.254.169.254/v1",
        "http://[fe80::1]/v1",
        "http://[::ffff:169.254.169.254]/v1",
    ):
        with pytest.raises(RequestError, match="link-local"):
            Endpoint(url, "m", tries=1).ask(ASKED)
    for model, key in (("", ""), ("m\n", ""), ("m", "a\r\nX: y"), ("m", "ключ")):
        with pytest.raises(RequestError):
            Endpoint("http://h/v1", model, key)


def test_the_one_who_runs_the_app_can_say_whom_it_may_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EP_ENDPOINTS", "localhost, example.org")
    assert Endpoint("https://example.org/v1", "m").host == "example.org"
    with pytest.raises(RequestError, match="requests to elsewhere.org are not allowed"):
        Endpoint("https://elsewhere.org/v1", "m")


def test_the_key_is_on_no_disk_in_no_log_and_no_representation(
    stored: tuple[Labels, Dictionary],
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    labels, dictionary = stored
    caplog.set_level(logging.DEBUG)
    with serving(good_reader) as server:
        endpoint = impatient(server.url)
        out = Outcome(labels)
        label_regions(out, dictionary, [0, 1], endpoint)
    assert server.seen[0].key == KEY and KEY not in repr(endpoint) and KEY not in endpoint.source
    assert KEY not in caplog.text + "".join(capsys.readouterr())
    for file in labels.path.parent.rglob("*"):
        assert KEY.encode() not in file.read_bytes()


# -- the command -----------------------------------------------------------------------------------


def test_the_command_labels_by_hand_and_by_a_model_and_shows_what_there_is(
    stored: tuple[Labels, Dictionary],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = str(stored[0].path)
    monkeypatch.setenv("EP_ENDPOINT_KEY", KEY)
    assert main(["label", file, "--region", "3", "--text", "\x1b[31ma frog", "--by", "ann"]) == 0
    with serving(good_reader) as server:
        assert (
            main(
                [
                    "label",
                    file,
                    "--region",
                    "3",
                    "--region",
                    "5",
                    "--endpoint",
                    server.url,
                    "--model",
                    "m",
                ]
            )
            == 0
        )
    assert {seen.key for seen in server.seen} == {KEY}
    out, err = capsys.readouterr()
    assert "a frog" in out and "\x1b" not in out and "2 regions labelled" in err
    assert main(["label", file, "--json"]) == 0
    out = capsys.readouterr().out
    assert re.search(r'"source": "model:m@127.0.0.1:\d+"', out) and KEY not in out
    for wrong in (
        ["--text", "x"],
        ["--list", "no"],
        ["--region", "999"],
        ["--endpoint", "ftp://x", "--region", "1"],
    ):
        assert main(["label", file, *wrong]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 4
