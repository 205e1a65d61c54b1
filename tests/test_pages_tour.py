"""The strip "See it work" and the glossary: every step leads somewhere, and every term is defined
once.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import ep
from ep.views import glossary
from pages.shared import loading, models, tokens, tour
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.pages import Visit, said

ROOT = Path(__file__).resolve().parents[1]
MARKUP = set("*_$`[]#~|<>\n")
"""What Streamlit would take for formatting, or a page for markup."""


def calls() -> list[tuple[Path, ast.Call]]:
    """Every call in the pages, with its file."""
    return [
        (path, node)
        for path in sorted(ROOT.glob("pages/**/*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    ]


def called(node: ast.expr) -> str:
    """The last name of what is called."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def text_of(node: ast.expr | None) -> str | None:
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, str) else None


# -- the glossary ----------------------------------------------------------------------------------


def test_every_term_is_one_or_two_plain_sentences_with_a_source() -> None:
    for term in glossary.TERMS.values():
        assert term.text[0].isupper() or term.text.startswith("log10"), term.key
        assert term.text.endswith("."), term.key
        assert term.text.count(". ") <= (2 if term.key.startswith("lens_") else 1), term.key
        assert term.source and term.group in glossary.GROUPS, term.key
        if not term.key.startswith(("lens_", "readout_")):
            assert not MARKUP & set(term.text), term.key


def test_a_name_on_a_screen_stands_for_one_term() -> None:
    labels = [label.casefold() for term in glossary.TERMS.values() for label in term.labels]
    assert len(labels) == len(set(labels))
    assert len({term.name for term in glossary.TERMS.values()}) == len(glossary.TERMS)
    assert glossary.named("θ, cosine") is glossary.TERMS["theta"]
    assert glossary.named("nothing of ours") is None


def test_every_key_in_the_pages_is_a_term() -> None:
    keys = [
        (path, text_of(node.args[0]))
        for path, node in calls()
        if called(node.func) == "define" and node.args
    ]
    assert len(keys) > 20
    for path, key in keys:
        assert key is None or key in glossary.TERMS, f"{path}: {key}"


def test_every_column_named_by_a_term_carries_its_definition() -> None:
    checked = 0
    for path, node in calls():
        label = text_of(node.args[0]) if node.args else None
        is_column = called(node.func).endswith("Column") or called(node.func) == "number"
        if not is_column or label is None or (term := glossary.named(label)) is None:
            continue
        given = next((k.value for k in node.keywords if k.arg == "help"), None)
        assert isinstance(given, ast.Call) and called(given.func) == "define", f"{path}: {label}"
        assert text_of(given.args[0]) == term.key, f"{path}: {label}"
        checked += 1
    assert checked > 20


def test_every_figure_named_by_a_term_carries_its_definition() -> None:
    html = tokens.facts(("coherence", "0.64"), ("θ, cosine", "0.68", "cosine distance"), ("x", "1"))
    assert tokens.escape(glossary.TERMS["coherence"].text) in html
    assert f"{tokens.escape(glossary.TERMS['theta'].text)} Cosine distance." in html
    assert "<div><b>1</b><span>x</span></div>" in html
    with pytest.raises(KeyError):
        glossary.define("no such term")


def test_no_page_repeats_a_definition() -> None:
    texts = {path: path.read_text() for path in ROOT.glob("pages/**/*.py")}
    for term in glossary.TERMS.values():
        for path, text in texts.items():
            assert term.text not in text, f"{path} repeats {term.key}"


def test_the_glossary_lists_every_term_with_its_anchor(visit: Visit) -> None:
    app = visit("glossary")
    app.query_params["term"] = "theta"
    text = said(app.run())
    for term in glossary.TERMS.values():
        assert f'id="term-{term.key}"' in text and tokens.escape(term.text) in text
    assert text.count('class="on"') == 1


# -- the strip -------------------------------------------------------------------------------------


def links(app: AppTest) -> list[str]:
    """The labels of the strip's links."""
    return [link.proto.label.strip("*") for link in app.get("page_link")]


def test_the_first_screen_offers_the_four_steps(visit: Visit) -> None:
    titles = links(visit())
    assert [title[0] for title in titles] == ["1", "2", "3", "4"]
    assert titles[0] == "1 The map of a model"  # the tiny models are not the real one


def test_a_step_is_marked_once_its_page_was_opened_and_the_strip_follows(visit: Visit) -> None:
    _, region, *_ = tour.steps()
    app = visit("region", **region.query)
    assert app.get("page_link")[1].proto.label == "**2 A region and its passages**"
    app.switch_page("pages/compare/page.py").run()
    assert not links(app)  # no step leads to it
    app.switch_page("pages/atlas/page.py").run()
    assert [bool(link.proto.icon) for link in app.get("page_link")] == [False, True, False, False]


def test_the_strip_is_skipped_and_the_glossary_brings_it_back(visit: Visit) -> None:
    app = visit()
    app.button(key="tour_close").click().run()
    assert not links(app)
    app.switch_page("pages/glossary/page.py").run()
    app.button(key="glossary_tour").click().run()
    assert len(links(app)) == 4 and not app.exception


def test_the_last_step_is_set_to_take_the_region_of_refusals_out(visit: Visit) -> None:
    step = tour.steps()[-1]
    app = visit("steer", **step.query)
    assert f"region {step.query['r']} taken out" in said(app)
    run = app.button(key="steer_generate")
    assert not run.disabled


def test_a_shelf_without_a_demo_offers_only_what_it_can_show(own_shelf: Path) -> None:
    assert tour.steps() == []
    ep.save(synthetic(size=40, width=16), own_shelf / "d.ep.h5")
    loading.refresh()
    assert [step.page for step in tour.steps()] == ["atlas", "region"]


def test_refusals_are_found_in_the_excerpts_where_no_trial_is_stored(
    own_shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a demo that stores no trials: the largest region whose excerpts are harmful prompts."""
    dictionary = synthetic(size=40, width=16)
    ep.save(dictionary, own_shelf / tour.TINY_FILE)
    (own_shelf / "prompts").mkdir()
    loading.refresh()
    monkeypatch.setattr(models, "is_local", lambda entry: True)
    assert tour.refusal() is None
    region = max(range(40), key=lambda k: (len(dictionary.excerpts(k)) > 0, dictionary.members[k]))
    texts = ["".join(one.pieces) for one in dictionary.excerpts(region)]
    rows = "".join(f'"{text.replace(chr(34), chr(34) * 2)}",harmful,train\n' for text in texts)
    (own_shelf / "prompts" / "train.csv").write_text(f"prompt,label,split\n{rows}")
    tour._by_excerpts.clear()
    target = tour.refusal()
    assert target is not None and target.region == region
