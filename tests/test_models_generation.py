"""Interventions and generation: the formulas, a row equals a run of its own, hooks go, what was
done is measured.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import ep
from ep.errors import ConfigError, ModelError, UnknownRegion
from ep.models import LanguageModel, read
from ep.models.divergence import divergence
from ep.models.generation import Row, Sampling, Step, Written, generate, stop_tokens
from ep.models.interventions import (
    MODES,
    SCOPES,
    Applied,
    Intervention,
    Mode,
    mean_point,
    of_regions,
    random_control,
)
from tests.fixtures import tiny
from tests.fixtures.dictionaries import synthetic

LAYER = 2


@pytest.fixture(scope="module", params=["gemma", "gpt2", "qwen"])
def model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> LanguageModel:
    return ep.load(
        str(getattr(tiny, request.param)(tmp_path_factory.mktemp(request.param), n_layers=4))
    )


@pytest.fixture(scope="module")
def dictionary() -> ep.Dictionary:
    return synthetic(30, 32, seed=3, layer=LAYER, typical_norm=4.0)


TWELVE = Sampling(12)


def written(model: LanguageModel, rows: list[Row], sampling: Sampling = TWELVE) -> list[Written]:
    *_, last = generate(model, rows, sampling)
    assert isinstance(last, list)
    return last


def variants(dictionary: ep.Dictionary) -> list[tuple[Intervention, ...]]:
    made = [of_regions(dictionary, mode, [3], 1.5, target=5) for mode in MODES]
    two = of_regions(dictionary, "ablate", [3, 4, 7], scope="prompt")
    return [
        (),
        *((one,) for one in made),
        (two,),
        (replace(made[0], strength=-2.0), two),
        (random_control(made[0]),),
    ]


# -- the formulas ----------------------------------------------------------------------------------


def rows_and(dictionary: ep.Dictionary) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((9, dictionary.width)).astype(np.float32) * 4


def applied(intervention: Intervention, x: np.ndarray) -> np.ndarray:
    return Applied(intervention, "cpu").apply(torch.from_numpy(x)).numpy()


def test_each_mode_does_what_its_formula_says(dictionary: ep.Dictionary) -> None:
    x, c, r = rows_and(dictionary), dictionary.center.astype(np.float64), 4.0
    v = dictionary.exemplars[3].astype(np.float64)
    along = (x - c) @ v
    expected = {
        "add": x + 0.5 * r * v,
        "ablate": x - 0.5 * np.outer(along, v),
        "swap": x + 0.5 * np.outer((mean_point(dictionary, 5) - c) @ v - along, v),
        "clamp": x + np.outer(0.5 * r - along, v),
    }
    for mode in MODES:
        found = applied(of_regions(dictionary, mode, [3], 0.5, target=5), x)
        np.testing.assert_allclose(found, expected[mode], atol=2e-5, err_msg=mode)


def test_ablating_a_span_leaves_nothing_of_it_and_everything_else(
    dictionary: ep.Dictionary,
) -> None:
    x = rows_and(dictionary)
    one = of_regions(dictionary, "ablate", [3, 4, 7, 3])  # a region twice adds nothing
    assert one.span.shape == (3, 32)
    after = applied(one, x)
    left = (after - dictionary.center) @ dictionary.exemplars[[3, 4, 7]].T
    np.testing.assert_allclose(left, 0, atol=1e-4)
    outside = np.eye(32) - one.span.T @ one.span
    np.testing.assert_allclose((after - x) @ outside, 0, atol=1e-4)
    np.testing.assert_allclose(applied(one, after), after, atol=1e-5)


def test_several_regions_are_pushed_as_one_step_between_them(dictionary: ep.Dictionary) -> None:
    x, c, r = rows_and(dictionary), dictionary.center.astype(np.float64), 4.0
    v = dictionary.exemplars[[3, 4, 7]].astype(np.float64)
    u = v.sum(axis=0) / np.linalg.norm(v.sum(axis=0))
    onto = np.linalg.pinv(v) @ v
    expected = {"add": x + 0.5 * r * u, "clamp": x - (x - c) @ onto + 0.5 * r * u}
    for mode, after in expected.items():
        found = of_regions(dictionary, mode, [3, 4, 7], 0.5)
        np.testing.assert_allclose(applied(found, x), after, atol=2e-5, err_msg=mode)
        control = random_control(found, seed=1)
        np.testing.assert_allclose(control.push @ found.span.T, 0, atol=1e-6)
        if mode == "add":
            for one in (found, control):
                np.testing.assert_allclose(
                    np.linalg.norm(applied(one, x) - x, axis=1), 0.5 * r, atol=1e-4
                )
        else:
            for one in (found, control):
                np.testing.assert_allclose((applied(one, x) - c) @ one.push, 0.5 * r, atol=1e-4)


@pytest.mark.parametrize("mode", MODES)
def test_neither_order_nor_repetition_of_regions_matters_and_one_is_the_plain_case(
    dictionary: ep.Dictionary, mode: Mode
) -> None:
    x = rows_and(dictionary)
    found, turned, doubled = (
        of_regions(dictionary, mode, regions, 0.7, target=5)
        for regions in ([3, 4, 7], [7, 3, 4], [3, 4, 3, 7])
    )
    for other in (turned, doubled):
        np.testing.assert_allclose(applied(other, x), applied(found, x), atol=2e-5)
        np.testing.assert_allclose(
            applied(random_control(other, 1), x), applied(random_control(found, 1), x), atol=2e-5
        )
    one, twice = (of_regions(dictionary, mode, regions, 0.7, target=5) for regions in ([3], [3, 3]))
    np.testing.assert_array_equal(applied(one, x), applied(twice, x))


@pytest.mark.parametrize("mode", MODES)
def test_what_was_asked_for_is_the_length_of_the_change(
    dictionary: ep.Dictionary, mode: Mode
) -> None:
    x = torch.from_numpy(rows_and(dictionary))
    one = Applied(of_regions(dictionary, mode, [3, 4, 7], 0.7, target=5), "cpu")
    moved = (one.apply(x) - x).norm(dim=-1)
    np.testing.assert_allclose(one.step(x).norm(dim=-1), moved, rtol=1e-4, atol=1e-4)


def test_directions_that_cancel_cannot_be_pushed_along() -> None:
    both = np.array([[1, 0, 0, 0], [-1, 0, 0, 0]], np.float32)
    for mode in ("add", "clamp"):
        with pytest.raises(ConfigError, match="cancel"):
            Intervention(mode, both, (1,), np.zeros(4, np.float32), 1.0)
    assert Intervention("ablate", both, (1,), np.zeros(4, np.float32), 1.0).span.shape == (1, 4)


def test_the_reference_of_an_ablation_is_where_it_parks(dictionary: ep.Dictionary) -> None:
    x, v = rows_and(dictionary), dictionary.exemplars[3]
    for reference, point in (
        ("centre", dictionary.center),
        ("origin", 0 * v),
        (9, mean_point(dictionary, 9)),
    ):
        after = applied(of_regions(dictionary, "ablate", [3], reference=reference), x)
        np.testing.assert_allclose(after @ v, np.full(len(x), point @ v), atol=1e-4)


def test_the_random_control_is_as_long_and_shares_nothing(dictionary: ep.Dictionary) -> None:
    for regions in ([3], [3, 4, 7]):
        original = of_regions(dictionary, "ablate", regions)
        control = random_control(original, seed=1)
        np.testing.assert_allclose(np.linalg.norm(control.directions, axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(control.directions @ original.span.T, 0, atol=1e-6)
        np.testing.assert_array_equal(
            control.directions, random_control(original, seed=1).directions
        )
        assert not np.allclose(control.directions, random_control(original, seed=2).directions)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": "boost"}, "unknown"),
        ({"scope": "some"}, "unknown"),
        ({"strength": float("nan")}, "strength"),
        ({"strength": 1e7}, "strength"),
        ({"mode": "swap"}, "target"),
        ({"norm": 0.0}, "norm"),
        ({"layers": ()}, "at least one"),
        ({"directions": np.zeros((0, 4), np.float32)}, "at least one direction"),
        ({"reference": np.full(4, np.nan, np.float32)}, "finite"),
    ],
)
def test_contradictions_are_refused(change: dict[str, object], message: str) -> None:
    good: dict[str, object] = {
        "mode": "add",
        "directions": np.eye(4, dtype=np.float32)[:1],
        "layers": (1,),
        "reference": np.zeros(4, np.float32),
        "norm": 1.0,
    }
    one = Intervention(**good)
    for name, value in change.items():  # past the tests' own type checker, as a caller may come
        object.__setattr__(one, name, value)
    with pytest.raises(ConfigError, match=message):
        one.__post_init__()


def test_regions_and_points_that_do_not_exist_are_refused(dictionary: ep.Dictionary) -> None:
    with pytest.raises(UnknownRegion):
        of_regions(dictionary, "add", [30])
    with pytest.raises(ConfigError, match="reference"):
        of_regions(dictionary, "ablate", [3], reference="mean")
    with pytest.raises(ConfigError, match="put back"):
        of_regions(dictionary, "swap", [3])


# -- generation ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sampling", [Sampling(12), Sampling(12, temperature=1.0, top_p=0.9, seed=7)]
)
def test_a_row_is_what_a_run_of_its_own_writes(
    model: LanguageModel, dictionary: ep.Dictionary, sampling: Sampling
) -> None:
    prompts = [
        model.encode_prompt(text).ids
        for text in ("The cat sat on the mat", "Two plus three is", "def")
    ]
    rows = [Row(tuple(ids), done) for ids in prompts for done in variants(dictionary)]
    together = written(model, rows, sampling)
    for row, found in zip(rows, together, strict=True):
        (alone,) = written(model, [row], sampling)
        assert (alone.ids, alone.ending, alone.touched) == (found.ids, found.ending, found.touched)
        np.testing.assert_allclose(alone.logprob, found.logprob, atol=1e-4)
        assert alone.moved == pytest.approx(found.moved, rel=1e-4)


def test_greedy_rows_are_what_transformers_writes(model: LanguageModel) -> None:
    ids = model.encode_prompt("The cat sat on the mat").ids
    theirs = model.bridge.original_model.generate(
        torch.tensor([ids]), max_new_tokens=12, do_sample=False, eos_token_id=None, pad_token_id=0
    )
    (ours,) = written(model, [Row(tuple(ids))], Sampling(12, stop=False))
    assert ours.ids == theirs[0, len(ids) :].tolist()


def test_the_stream_is_changed_at_its_hook_and_by_so_much(
    model: LanguageModel, dictionary: ep.Dictionary
) -> None:
    ids = tuple(model.encode_prompt("The cat sat on the mat").ids)
    plain = read(model, ids, [LAYER])[LAYER]
    for mode in MODES:
        one = of_regions(dictionary, mode, [3], 1.0, target=5, scope="prompt")
        (found,) = written(model, [Row(ids, (one,))], Sampling(3, stop=False))
        expected = np.linalg.norm(applied(one, plain) - plain, axis=1).mean() / one.norm
        assert found.touched == len(ids)
        assert found.moved == pytest.approx(expected, rel=1e-3), mode
        assert found.requested == pytest.approx(expected, rel=1e-3), mode


TOUCHED = {"all": (1, 4), "prompt": (1, 0), "generated": (0, 4), "last": (0, 1)}


@pytest.mark.parametrize(("scope", "positions"), TOUCHED.items())
def test_a_scope_touches_its_positions_alone(
    model: LanguageModel, dictionary: ep.Dictionary, scope: str, positions: tuple[int, int]
) -> None:
    short, long = (
        tuple(model.encode_prompt(text).ids) for text in ("The", "The cat sat on the mat and")
    )
    one = of_regions(dictionary, "add", [3], 0.01, scope=scope, layers=(0, 2))
    rows = written(
        model, [Row(short, (one,)), Row(long, (one,)), Row(long)], Sampling(5, stop=False)
    )
    expected = [2 * (positions[0] * len(ids) + positions[1]) for ids in (short, long)]
    assert [row.touched for row in rows] == [*expected, 0]
    assert [row.moved for row in rows] == pytest.approx([0.01, 0.01, 0.0], rel=1e-2)
    assert set(TOUCHED) == set(SCOPES)


def test_steps_add_up_to_the_rows(model: LanguageModel) -> None:
    ids = tuple(model.encode_prompt("The cat sat").ids)
    *steps, rows = generate(model, [Row(ids), Row(ids[:2])], Sampling(6))
    assert all(isinstance(step, Step) for step in steps)
    for number, row in enumerate(rows):
        assert row.ids == [int(step.tokens[number]) for step in steps if step.tokens[number] >= 0]


def test_a_stopped_run_gives_what_was_written_and_measured_until_then(
    model: LanguageModel, dictionary: ep.Dictionary
) -> None:
    ids = tuple(model.encode_prompt("The cat sat").ids)
    rows = [Row(ids), Row(ids, (of_regions(dictionary, "add", [3], 2.0),))]
    whole = written(model, rows, Sampling(12, stop=False))
    steps: list[Step] = []
    found: list[Written] = []
    for step in generate(model, rows, Sampling(12, stop=False), lambda: len(steps) == 5):
        if isinstance(step, Step):
            steps.append(step)
        else:
            found = step
    assert len(steps) == 5
    for row, full in zip(found, whole, strict=True):
        assert (
            row.ids == full.ids[:5]
            and row.logprob == full.logprob[:5]
            and row.ending == "cancelled"
        )
    assert found[1].moved == pytest.approx(2, rel=1e-3) and found[1].touched == len(ids) + 4


def test_our_hooks_go_and_the_callers_stay(model: LanguageModel, dictionary: ep.Dictionary) -> None:
    ids = tuple(model.encode_prompt("The cat sat").ids)
    calls = []
    handle = model.hook_point(LAYER).register_forward_hook(lambda *_: calls.append(1))
    try:
        before = dict(model.hook_point(LAYER)._forward_hooks)
        run = generate(
            model, [Row(ids, (of_regions(dictionary, "add", [3]),))], Sampling(9, stop=False)
        )
        next(run), next(run)
        assert dict(model.hook_point(LAYER)._forward_hooks) == before, (
            "between two steps nothing is left behind"
        )
        run.close()
        assert dict(model.hook_point(LAYER)._forward_hooks) == before
        assert len(calls) == 2
    finally:
        handle.remove()


def test_end_of_turn_and_limits_end_a_row(model: LanguageModel) -> None:
    stops = stop_tokens(model)
    assert model.tokenizer.eos_token_id in stops
    if model.tokenizer.chat_template:
        closing = model.tokenizer.convert_tokens_to_ids(["<end_of_turn>", "<|im_end|>"])
        assert stops & set(closing)
    ids = tuple(model.encode_prompt("The cat sat").ids)
    (row,) = written(model, [Row(ids)], Sampling(3, stop=False))
    assert (row.ending, len(row.ids)) == ("limit", 3)
    almost = (ids * model.context)[: model.context - 2]
    (row,) = written(model, [Row(almost)], Sampling(9, stop=False))
    assert (row.ending, len(row.ids)) == ("context", 2)


def test_strength_without_measure_ends_the_row_and_no_other(model: LanguageModel) -> None:
    ids = tuple(model.encode_prompt("The cat sat").ids)
    huge = Intervention(
        "add", np.eye(32, dtype=np.float32)[:1], (LAYER,), np.zeros(32, np.float32), 3e38, 100.0
    )
    broken, whole = written(model, [Row(ids, (huge,)), Row(ids)], Sampling(4, stop=False))
    assert (broken.ending, broken.ids, whole.ending) == ("not finite", [], "limit")
    assert written(model, [Row(ids)], Sampling(4, stop=False))[0].ids == whole.ids


def test_prompts_and_directions_that_do_not_fit_are_refused(model: LanguageModel) -> None:
    ids = tuple(model.encode_prompt("The cat sat").ids)
    wide = Intervention("add", np.eye(8, dtype=np.float32)[:1], (1,), np.zeros(8, np.float32), 1.0)
    deep = Intervention(
        "add", np.eye(32, dtype=np.float32)[:1], (9,), np.zeros(32, np.float32), 1.0
    )
    for rows, message in (
        ([Row(())], "no tokens"),
        ([Row(ids * model.context)], "context"),
        ([Row(ids, (wide,))], "another model"),
        ([Row(ids, (deep,))], "no layer 9"),
    ):
        with pytest.raises(ModelError, match=message):
            next(generate(model, rows))
    with pytest.raises(ConfigError, match="rows"):
        next(generate(model, []))
    for wrong in ({"tokens": 0}, {"temperature": -1}, {"top_p": 0}):
        with pytest.raises(ConfigError):
            Sampling(**wrong)


# -- divergence ------------------------------------------------------------------------------------


def test_doing_nothing_diverges_by_nothing_and_more_diverges_more(
    model: LanguageModel, dictionary: ep.Dictionary
) -> None:
    ids = tuple(model.encode_prompt("The cat sat on the mat").ids)
    (row,) = written(model, [Row(ids)], Sampling(6, stop=False))
    one = of_regions(dictionary, "add", [3])
    found = divergence(
        model,
        ids,
        row.ids,
        [
            (),
            (replace(one, strength=0.0),),
            (replace(one, strength=0.5),),
            (replace(one, strength=4.0),),
        ],
    )
    assert found.shape == (4, 6)
    np.testing.assert_allclose(found[:2], 0, atol=1e-6)
    assert 0 < found[2].mean() < found[3].mean()
    last = divergence(
        model, ids, row.ids, [(of_regions(dictionary, "add", [3], 2.0, scope="generated"),)]
    )[0]
    assert last[0] == pytest.approx(0, abs=1e-6), (
        "the first token is written before anything generated is read"
    )
    assert last[1:].max() > 0
    with pytest.raises(ModelError, match="nothing to compare"):
        divergence(model, ids, [], [()])


def test_divergence_is_the_plain_formula(model: LanguageModel, dictionary: ep.Dictionary) -> None:
    ids = tuple(model.encode_prompt("The cat sat on the mat").ids)
    one = of_regions(dictionary, "ablate", [3, 4])
    found = divergence(model, ids[:4], ids[4:], [(one,)])[0]
    tokens = torch.tensor([ids])
    plain = torch.log_softmax(model.bridge.original_model(input_ids=tokens).logits[0].double(), -1)
    handle = model.hook_point(LAYER).register_forward_hook(
        lambda _m, _i, x: Applied(one, "cpu").apply(x)
    )
    try:
        changed = torch.log_softmax(
            model.bridge.original_model(input_ids=tokens).logits[0].double(), -1
        )
    finally:
        handle.remove()
    expected = (plain.exp() * (plain - changed)).sum(-1)[3:-1]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
