"""Compare as a visitor finds it: a pair by default, the same one twice, other widths, parts
missing, hostile text.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from ep.method.dictionary import Dictionary, MemorySource
from pages.compare import work
from tests.fixtures import tiny
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.pages import shelved, show, well

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


def test_large_pairs_and_their_nulls_are_matched_beside_the_page(
    keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = well(show("compare", keys["c"], cb=keys["a"]))
    monkeypatch.setattr(work, "AT_ONCE", 0)
    at = show("compare", keys["c"], cb=keys["a"], cbasis="mean")
    for _ in range(100):
        if "another seed of B:" in well(at):
            break
        time.sleep(0.1)
        at.run()
    assert (study := "What became of each region") in whole
    assert well(at).split(study)[1] == whole.split(study)[1]


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
    assert "the two hold the same regions" in page


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


@pytest.mark.parametrize("ccut", ["nan", "-3", "x", "1e9", "0.70"])
def test_nonsense_in_a_link_counts_as_nothing(keys: dict[str, str], ccut: str) -> None:
    at = show("compare", keys["a"], cb="no such", ccut=ccut, creg="99999", cview="<b>", ckind="?")
    page = well(at)
    assert at.slider(key="compare_cutoff").value == 0.7
    assert "another one was chosen" in page


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
    page = well(
        show("compare", keys["a"], cb=keys["b"], cview="prompt", q="two boats", **{"as": "text"})
    )
    assert "fall in regions that are not each other" in page


def test_two_tokenizers_read_one_prompt_side_by_side(keys: dict[str, str]) -> None:
    other = {"cview": "prompt", "q": "two boats", "as": "text"}
    page = well(show("compare", keys["a"], cb=keys["gpt2"], **other))
    assert "The two models cut this text into" in page
    assert "places where tokens of both end" in page
    assert "tokens</b> fall in regions that are not each other" in page
    page = well(show("compare", keys["a"], cb=keys["gpt2"], **{**other, "as": "chat"}))
    assert "Without a chat template in gpt2, both read it as plain text" in page


@pytest.mark.parametrize("view", ["verdicts", "prompt", "inputs"])
def test_every_view_can_be_exported_and_shows_its_code(keys: dict[str, str], view: str) -> None:
    at = show("compare", keys["a"], cb=keys["b"], cview=view, q="two boats", **{"as": "text"})
    for _ in range(100):
        if at.button and not any("Cancel" in button.label for button in at.button):
            break
        time.sleep(0.1)
        at.run()
    well(at)
    assert any(code.language == "python" for code in at.code)


def test_final_token_without_a_model_says_so(keys: dict[str, str]) -> None:
    page = well(show("compare", keys["hostile"], cb=keys["a"], cview="final"))
    assert "Both models are needed here" in page
