"""Compare as a visitor finds it: a pair by default, the same one twice, other widths, parts
missing, hostile text; and what waits for a click.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event
from time import sleep
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from ep import reseeding
from ep.corpus import Corpus
from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.method.source import MemorySource
from ep.models import LanguageModel
from ep.studies import matching as study
from pages.compare import nulls, pairing
from pages.shared import estimates, jobs, loading, models, reading
from tests.fixtures import tiny
from tests.fixtures.builds import built
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.pages import said, shelved, show, well
from tests.fixtures.waiting import until

VITAL = ("center", "exemplars", "mean_directions", "count_arrival")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Two of one setting and models of two names, another seed, another width, a bare file, and
    hostile text.
    """
    folder = tmp_path_factory.mktemp("shelf")
    model = str(tiny.gemma(tmp_path_factory.mktemp("models") / "gemma"))
    gpt2 = str(tiny.gpt2(tmp_path_factory.mktemp("models") / "gpt2"))
    common = {
        "layer": 1,
        "percentile": 4.0,
        "model": model,
        "corpus": {"name": "x.txt", "digest": "abc"},
    }
    one = {**common, "model_name": "one"}
    whole = synthetic(30, 32, seed=7)
    bare = Dictionary(
        MemorySource({name: whole.source.read(name) for name in VITAL}),
        whole.info | {"family": "bare"},
        30,
    )
    made = {
        "a": synthetic(80, 32, seed=1, family="fa", title="first", **one),
        "b": synthetic(
            70, 32, seed=2, family="fb", title="second", **{**common, "model_name": "two"}
        ),
        "seed": synthetic(82, 32, seed=3, family="fs", title="first again", **one),
        "c": synthetic(
            75, 32, seed=8, family="fc", title="third", **{**common, "model_name": "three"}
        ),
        "short": synthetic(
            75, 32, seed=8, family="fe", title="4", **{**common, "model_name": "four"}
        ),
        "seed of short": synthetic(
            71, 32, seed=9, family="ff", title="4 again", **{**common, "model_name": "four"}
        ),
        "z alone": synthetic(
            64, 32, seed=8, family="fi", title="5", **{**common, "model_name": "five"}
        ),
        "seed of c": synthetic(
            71, 32, seed=9, family="fd", title="third again", **{**common, "model_name": "three"}
        ),
        "wide": synthetic(40, 16, seed=4, family="fw", title="other width"),
        "hostile": synthetic(40, 32, seed=5, hostile=True, family="fh"),
        "gone": synthetic(40, 32, seed=5, family="fn", model="../no/such/folder"),
        "gpt2": synthetic(60, 32, seed=9, family="fg", layer=1, model=gpt2, model_name="gpt2"),
        "tiny": synthetic(2, 32, seed=6, family="ft", title="tiny"),
        "bare": bare,
    }
    for name in ("seed", "seed of c", "seed of short"):
        made[name].info["seed"] = 9
    for name, dictionary in made.items():
        dictionary.info["typical_norm"] = None if name in ("bare", "seed of short") else 2.0
        dictionary.info["n_activations"] = 5000
        dictionary.info["tokenizer_hash"] = None
    with shelved(folder, made) as found:
        yield found


def forget() -> None:
    """The server as it is before anybody has read or matched anything."""
    for shared in (models.models, reading.readings, estimates.rates, jobs.board):
        shared.clear()


def labels(at: AppTest) -> list[str]:
    return [button.label for button in at.button]


def click(at: AppTest, label: str) -> AppTest:
    """Clicks the first button whose label begins so."""
    return next(button for button in at.button if button.label.startswith(label)).click().run()


def finished(at: AppTest) -> str:
    """What the page says once no job of this visitor is at work."""
    until(lambda: "Cancel" not in labels(at), at.run, every=0.05)
    return well(at)


def test_the_page_opens_on_the_sibling_of_another_model_beside_another_seed(
    keys: dict[str, str],
) -> None:
    page = well(show("compare", keys["a"]))
    assert "second" in page
    assert "between the centres" in page
    for text in (
        "Persisted",
        "Moved",
        "Only in A",
        "Only in B",
        "persist in another seed of A itself",
    ):
        assert text in page
    assert "another seed of A:" in page
    assert "Only in B" in page
    assert "No null for B" in page


def test_each_side_is_beside_its_own_null(keys: dict[str, str]) -> None:
    page = well(show("compare", keys["a"], cb=keys["c"]))
    for text in (
        "another seed of A:",
        "another seed of B:",
        "persist in A and",
        "in another seed of B.",
        "for A, ",
    ):
        assert text in page
    assert "No null" not in page
    page = well(show("compare", keys["b"], cb=keys["c"]))
    assert "No null for A" in page
    assert "No null for B" not in page
    assert "another seed of B:" in page


def test_large_pairs_and_their_nulls_are_matched_when_asked_for(
    keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = well(show("compare", keys["c"], cb=keys["a"]))
    forget()
    monkeypatch.setattr(pairing, "seconds", lambda a, b: 20.0)
    at = show("compare", keys["c"], cb=keys["a"], cbasis="mean")
    heading = "What became of each region"
    assert heading not in well(at) and "It takes about 20 s" in well(at)
    assert not jobs.board().jobs()
    page = finished(click(at, "Pair the regions"))
    assert heading in page and "another seed of A:" not in page
    assert labels(at).count("Pair them with the other seed") == 2
    while "Pair them with the other seed" in labels(at):
        page = finished(click(at, "Pair them with the other seed"))
    assert page.split(heading)[1] == whole.split(heading)[1]
    again = well(show("compare", keys["c"], cb=keys["a"]))  # what is stored serves everyone
    assert again.split(heading)[1] == whole.split(heading)[1]


def test_a_seed_that_cannot_be_matched_in_this_way_is_no_null(keys: dict[str, str]) -> None:
    page = well(show("compare", keys["short"], cb=keys["b"], ccentre="common"))
    assert "No null for A: its other seed cannot be matched in this way" in page
    assert "another seed of A:" in well(show("compare", keys["short"], cb=keys["b"]))


def test_two_seeds_of_one_setting_are_said_to_be_that(keys: dict[str, str]) -> None:
    assert "two seeds of one setting" in well(show("compare", keys["a"], cb=keys["seed"]))
    page = well(show("compare", keys["b"], cb=keys["z alone"]))
    assert page.count("No null for A and B: the text x.txt") == 1


def test_the_same_dictionary_twice_persists_whole(keys: dict[str, str]) -> None:
    page = well(show("compare", keys["a"], cb=keys["a"]))
    assert "are the same dictionary" in page
    assert "80 pairs" in page
    assert "both have the same regions" in page


@pytest.mark.parametrize("basis", ["mean", "exemplar"])
@pytest.mark.parametrize("centre", ["common", "b"])
def test_every_way_of_comparing_is_kept_in_the_link(
    keys: dict[str, str], basis: str, centre: str
) -> None:
    at = show(
        "compare",
        keys["a"],
        cb=keys["b"],
        cbasis=basis,
        ccentre=centre,
        ccut="0.9",
        cmap="cosine",
        creg="5",
    )
    well(at)
    assert at.query_params["ccut"] == "0.9"
    assert at.slider(key="compare_cutoff").value == 0.9
    named = [at.selectbox(key=f"compare_{name}").label for name in ("cbasis", "ccentre")]
    assert named == ["Directions compared", "About which centre"]  # what a screen reader says


@pytest.mark.parametrize("ccut", ["nan", "-3", "x", "1e9", "0.70", "9" * 5000, "inf"])
def test_nonsense_in_a_link_counts_as_nothing(keys: dict[str, str], ccut: str) -> None:
    at = show("compare", keys["a"], cb="no such", ccut=ccut, creg="99999", cview="<b>", ckind="?")
    page = well(at)
    assert at.slider(key="compare_cutoff").value == 0.7
    assert "another one was chosen" in page


@pytest.mark.parametrize("number", ["9" * 5000, "0" * 5000 + "1", "99999", "-1", "1.5", "٣"])
def test_a_number_that_makes_no_sense_counts_as_none(keys: dict[str, str], number: str) -> None:
    usual = well(show("compare", keys["a"], cb=keys["b"]))
    at = show("compare", keys["a"], cb=keys["b"], creg=number)
    assert well(at) == usual
    at.button(key="compare_swap").click().run()
    well(at)
    link = {"cview": "prompt", "q": "two boats", "as": "text"}
    token = token_shown(read(show("compare", keys["a"], cb=keys["b"], **link)))
    assert token_shown(show("compare", keys["a"], cb=keys["b"], ctok=number, **link)) == token


def test_a_region_of_b_and_a_token_are_taken_from_the_link(keys: dict[str, str]) -> None:
    assert "<b>B 5</b>" in well(show("compare", keys["a"], cb=keys["b"], creg="0005"))
    link = {"cview": "prompt", "q": "two boats", "as": "text", "ctok": "01"}
    assert token_shown(read(show("compare", keys["a"], cb=keys["b"], **link))) == "1"


def test_exchanging_both_takes_the_region_along(keys: dict[str, str]) -> None:
    at = show("compare", keys["a"], cb=keys["b"], creg="5", r="3")
    at.button(key="compare_swap").click().run()
    well(at)
    assert (at.query_params["d"], at.query_params["cb"]) == (keys["b"], keys["a"])
    assert at.query_params["r"] == "5" and "creg" not in at.query_params


def test_a_link_carries_the_pages_own_settings_and_no_others(keys: dict[str, str]) -> None:
    foreign = {"token": "3", "basis": "exemplar", "between": "path", "sa": "one", "readout": "Otsu"}
    at = show("compare", keys["a"], cb=keys["b"], ckind="here", **foreign)
    well(at)
    assert at.query_params["cb"] == keys["b"] and at.query_params["ckind"] == "here"
    assert not set(foreign) & set(at.query_params)


def test_controls_change_the_link_and_show_what_it_says(keys: dict[str, str]) -> None:
    at = show("compare", keys["a"], cb=keys["b"], creg="5", cview="verdicts")
    at.slider(key="compare_cutoff").set_value(0.57).run()
    at.selectbox(key="compare_cbasis").set_value("exemplar").run()
    at.selectbox(key="compare_b").set_value(keys["c"]).run()
    page = well(at)
    assert {"cb": keys["c"], "ccut": "0.57", "cbasis": "exemplar"}.items() <= {
        name: value[0] if isinstance(value, list) else value
        for name, value in at.query_params.items()
    }.items()
    assert "creg" not in at.query_params and "at a cosine of 0.57" in page


def read(at: AppTest) -> AppTest:
    """Clicks the button that reads a text with both models, where that is not known."""
    return click(at, "Read this text") if "Read this text" in labels(at) else at


def token_shown(at: AppTest) -> str:
    return well(at).split("<span>token ")[1].split(" ")[0]


def test_other_widths_are_offered_shared_inputs(keys: dict[str, str]) -> None:
    page = well(show("compare", keys["a"], cb=keys["wide"]))
    assert "through inputs" in page
    assert "Both models are needed here" in page


def test_without_a_typical_norm_the_way_out_is_said(keys: dict[str, str]) -> None:
    page = well(show("compare", keys["a"], cb=keys["bare"], ccentre="common"))
    assert "about each one" in page
    page = well(show("compare", keys["a"], cb=keys["bare"]))
    assert "This file holds no excerpt of this region" in page


def test_without_a_null_the_page_says_what_to_do(keys: dict[str, str]) -> None:
    page = well(show("compare", keys["b"], cb=keys["a"]))
    assert "No null" in page
    assert "another --seed" in page


def test_small_and_hostile_dictionaries_are_compared_too(keys: dict[str, str]) -> None:
    well(show("compare", keys["a"], cb=keys["tiny"]))
    well(show("compare", keys["tiny"], cb=keys["a"]))
    page = well(show("compare", keys["hostile"], cb=keys["a"]))
    assert "<img src=x" not in page


def test_one_prompt_goes_through_both_models(keys: dict[str, str]) -> None:
    at = show("compare", keys["a"], cb=keys["b"], cview="prompt", q="two boats", **{"as": "text"})
    page = well(read(at))
    assert "fall in regions that are not each other" in page


@pytest.mark.parametrize(("view", "button"), [("prompt", "Read this"), ("inputs", "Read the")])
def test_other_weights_are_said_of_the_dictionary_they_are_not_those_of(
    keys: dict[str, str], view: str, button: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = {"cb": keys["b"], "cview": view, "q": "three boats", "as": "text"}
    a, b = (loading.dictionary(keys[name]) for name in "ab")
    at = show("compare", keys["a"], **link)
    if any(label.startswith(button) for label in labels(at)):
        finished(click(at, button))
    own = models.language_model(a).fingerprint
    monkeypatch.setitem(a.info, "weights", own)
    monkeypatch.setitem(b.info, "weights", own)
    assert "he weights of" not in well(show("compare", keys["a"], **link))
    monkeypatch.setitem(b.info, "weights", "0" * 64)
    page = well(show("compare", keys["a"], **link))
    assert "he weights of gemma are not those of two, on which" in page
    assert page.count("he weights of") == 1


def test_two_tokenizers_read_one_prompt_side_by_side(keys: dict[str, str]) -> None:
    forget()
    other = {"cview": "prompt", "q": "two boats", "as": "text"}
    page = well(read(show("compare", keys["a"], cb=keys["gpt2"], **other)))
    assert "The two models cut this text into" in page
    assert "places where tokens of both end" in page
    assert "tokens</b> fall in regions that are not each other" in page
    for loaded in (True, False):
        if not loaded:
            forget()
        page = well(show("compare", keys["a"], cb=keys["gpt2"], **{**other, "as": "chat"}))
        assert "Without a chat template in gpt2, both read it as plain text" in page
        assert models.is_ready(loading.dictionary(keys["gpt2"])) == loaded


def test_what_is_typed_is_read_at_once(keys: dict[str, str]) -> None:
    forget()
    at = show("compare", keys["a"], cb=keys["b"], cview="prompt", q="two boats", **{"as": "text"})
    at.text_input[0].set_value("three boats")
    page = well(click(at, "Read"))
    assert "fall in regions that are not each other" in page
    assert at.query_params["q"] == "three boats" and at.query_params["as"] == "text"


@pytest.mark.parametrize("view", ["verdicts", "prompt", "inputs"])
def test_every_view_can_be_exported_and_shows_its_code(keys: dict[str, str], view: str) -> None:
    at = show("compare", keys["a"], cb=keys["b"], cview=view, q="two boats", **{"as": "text"})
    read(at)
    if view == "inputs":
        click(at, "Read the passages")
    finished(at)
    assert any(code.language == "python" for code in at.code)


def test_final_token_without_a_model_says_so(keys: dict[str, str]) -> None:
    page = well(show("compare", keys["hostile"], cb=keys["a"], cview="final"))
    assert "Both models are needed here" in page


# -- what waits for a click ------------------------------------------------------------------------


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model is loaded yet, and whoever loads one fails the test."""

    def load(_: object, name: str) -> LanguageModel:
        pytest.fail(f"{name} was loaded")

    forget()
    monkeypatch.setattr(models.Models, "load", load)


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    ("view", "button"),
    [
        ("verdicts", None),
        ("final", "Read the prompts"),
        ("prompt", "Read this text"),
        ("inputs", "Read the passages"),
    ],
)
def test_a_visit_starts_nothing(keys: dict[str, str], view: str, button: str | None) -> None:
    at = show("compare", keys["a"], cb=keys["b"], cview=view, **{"as": "text"})
    page = well(at)
    assert not jobs.board().jobs() and not len(reading.readings())
    if button:
        assert "It takes about" in page and labels(at).count(button) == 1


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("view", ["final", "prompt", "inputs"])
def test_a_model_that_is_not_here_is_said_before_any_click(keys: dict[str, str], view: str) -> None:
    at = show("compare", keys["hostile"], cb=keys["hostile"], cview=view)
    page = well(at)
    assert "Both models are needed" in page and "is not on this machine" in page
    assert "<img src=x" not in page and "Download and read" in labels(at)
    assert not jobs.board().jobs()
    gone = well(show("compare", keys["gone"], cb=keys["a"], cview=view))
    assert "Both models are needed" in gone and "not beside the dictionary any more" in gone


def test_prompts_are_read_when_asked_for_and_serve_everyone(keys: dict[str, str]) -> None:
    forget()
    at = show("compare", keys["a"], cb=keys["gpt2"], cview="final")
    heading = "by the region of the last token"
    assert heading not in well(at)
    page = finished(click(at, "Read the prompts"))
    assert heading in page and "Without a chat template, gpt2 read the prompts" in page
    models.models.clear()
    assert heading in well(show("compare", keys["a"], cb=keys["gpt2"], cview="final"))
    assert any(code.language == "python" for code in at.code)


def test_only_who_asked_sees_cancel_and_failure(
    keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    forget()
    release = Event()

    def failing(*_: Any) -> study.Match:
        release.wait(60)
        raise RequestError("the two cannot be paired today")

    monkeypatch.setattr(pairing, "seconds", lambda a, b: 20.0)
    monkeypatch.setattr(study, "match", failing)
    mine, other = (show("compare", keys["a"], cb=keys["b"]) for _ in range(2))
    click(mine, "Pair the regions")
    assert "Cancel" in labels(mine)
    other.run()
    assert "Cancel" not in labels(other) and "for somebody else" in well(other)
    release.set()
    assert "cannot be paired today" in finished(mine)
    other.run()
    assert "cannot be paired today" not in well(other)
    assert "Pair the regions" in labels(other)


# -- another seed ----------------------------------------------------------------------------------


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A dictionary with its model and text of which no other seed was ever built, and another."""
    path = built(tmp_path)
    with shelved(tmp_path, {"other": synthetic(30, 32, seed=4, family="fo")}) as keys:
        yield {"fresh": keys[path.name.removesuffix(".ep.h5")], "other": keys["other"]}


def hidden(folder: Path) -> list[Path]:
    return list((folder / reseeding.HIDDEN).glob("*/*.ep.h5"))


def test_another_seed_is_built_when_asked_for(fresh: dict[str, str], tmp_path: Path) -> None:
    at = show("compare", fresh["fresh"], cb=fresh["other"])
    assert "another seed of A:" not in well(at) and "No null for A" not in well(at)
    assert "It takes" in well(at) and not jobs.board().jobs() and not hidden(tmp_path)
    page = finished(click(at, "Build another seed of A"))
    assert "another seed of A:" in page and len(hidden(tmp_path)) == 1
    assert not any(label.startswith("Build another seed") for label in labels(at))
    assert "another seed of A:" in well(show("compare", fresh["fresh"], cb=fresh["other"]))
    hidden(tmp_path)[0].unlink()  # what was built is gone again
    assert any(label.startswith("Build another seed of A") for label in labels(at.run()))


def test_one_seed_is_built_after_the_other(
    fresh: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reseeding, "settings", lambda *_: None)
    monkeypatch.setattr(reseeding, "rebuild", lambda _: endless())
    at = show("compare", fresh["fresh"], cb=fresh["other"])
    offers = [label for label in labels(at) if label.startswith("Build another seed of")]
    assert len(offers) == 2
    page = well(click(at, "Build another seed of B"))
    assert "Building B again, its text in another order" in page and "Cancel" in labels(at)
    assert not any(label.startswith("Build another seed") for label in labels(at))
    stranger = show("compare", fresh["fresh"], cb=fresh["other"])
    assert "Cancel" not in labels(stranger) and "for somebody else" in well(stranger)
    click(at, "Cancel")
    assert "It was cancelled" in finished(at)
    assert "Build another seed of A" in " ".join(labels(at))
    click(at, "Close")
    assert [label for label in labels(at) if label.startswith("Build another seed of")] == offers


def endless() -> Iterator[reseeding.Progress]:
    while True:
        sleep(0.01)
        yield reseeding.Progress("stream", 1, 2)


def test_a_large_text_is_read_only_once_another_seed_is_asked_for(
    fresh: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.txt").write_text("another text by now")
    digests: list[Corpus] = []
    real = Corpus.digest
    monkeypatch.setattr(Corpus, "digest", lambda corpus: digests.append(corpus) or real(corpus))
    monkeypatch.setattr(nulls, "MOST_BYTES", 5)
    at = show("compare", fresh["fresh"], cb=fresh["other"])
    assert "No null for A" not in well(at) and not digests
    page = finished(click(at, "Build another seed of A"))
    assert "The text text.txt is not near its file" in page and digests
    assert not any(label.startswith("Build another seed of A") for label in labels(at))
    assert "Close" in labels(at)
    stranger = show("compare", fresh["fresh"], cb=fresh["other"])
    assert "not near its file: put it" not in said(stranger).split("No null for B")[0]


def test_a_small_text_that_is_another_by_now_is_said_on_the_visit(
    fresh: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_text("another text by now")
    at = show("compare", fresh["fresh"], cb=fresh["other"])
    assert "No null for A: the text text.txt is not near its file" in well(at)
    assert not any(label.startswith("Build another seed of A") for label in labels(at))
