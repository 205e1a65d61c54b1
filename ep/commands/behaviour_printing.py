"""The results of `ep behaviour` as text on stdout."""

from __future__ import annotations

from ep.commands.behaviour_study import Plain, Study


def show(study: Study, limit: int) -> None:
    """Print a study: regions, arms, the repeats, and answers where nothing was taken out.

    limit: regions and answers to print; 0 prints all.
    """
    from ep.views import behaviour_words as words

    choice, trial = study.choice, study.trial
    print(words.summary(choice))
    _print_regions(choice["regions"], limit)
    if trial["region"] is None:
        print(f"\n{words.nothing(choice, trial)}")
        _print_answers(study.answers, limit)
    else:
        print(f"\nregion {trial['region']} ablated, on held-out prompts")
        _print_arms(trial["arms"])
        for text in words.sentences(trial, choice["held"]):
            print(text)
    if study.repeats:
        share = study.repeats[0]["share"]
        print(f"\nother orders of the stream, centre from {share:.0%} behaving prompts")
        for repeat in study.repeats:
            _print_repeat(repeat)
    if study.layers:
        _print_layers(study.layers)


def _print_regions(regions: list[Plain], limit: int) -> None:
    from ep.studies.names import short
    from ep.studies.rates import Rate

    numbers = f"{'prompts':>8} {'rate':>5} {'95 %':>13} {'share':>6} {'lift':>6}"
    print(f"{'':>2} {'region':>7} {numbers}  {'name':24} lens tokens")
    for row in regions[: limit or None]:
        rate = Rate(*row["rate"])
        low, high = rate.interval or (0.0, 1.0)
        mark = "*" if row["candidate"] else ""
        numbers = (
            f"{rate.n:>8,} {rate.value:>5.2f} {low:>5.2f} to {high:>4.2f} "
            f"{row['share']:>6.2f} {row['lift']:>6.2f}"
        )
        called = f"{short(row['name'], 24):24} {' '.join(row['lens'])}"
        print(f"{mark:>2} {row['region']:>7} {numbers}  {called}")
    print("* candidate: at least 5 prompts, of which at least 30 % show the behaviour")


def _print_answers(answers: list[Plain], limit: int) -> None:
    """Print what the model said to the prompts, one line each; --json and --report hold it all."""
    from ep.text import plain

    for one in answers[: limit or None]:
        print(f"\n> {plain(' '.join(one['prompt'].split()))}")
        print(plain(" ".join(one["answer"].split())) + (" … (cut)" if one["cut"] else ""))
    if 0 < limit < len(answers):
        print(f"\n{len(answers) - limit:,} more answers: --limit 0, --json or --report")


def _print_arms(arms: list[Plain]) -> None:
    from ep.studies.rates import Rate

    print(f"{'':<17} {'behaviour':<31} {'coherent compliance':<31} {'benign intact':<31} moved")
    for arm in arms:
        rates = " ".join(f"{Rate(*arm[name])!s:<31}" for name in ("behaves", "complies", "intact"))
        print(f"{arm['arm']:<17} {rates} {arm['moved']:.2f}")


def _print_repeat(repeat: Plain) -> None:
    from ep.studies.rates import Rate
    from ep.views import behaviour as plain

    if repeat["region"] is None:
        print(f"seed {repeat['seed']}: no region is a candidate")
        return
    arms = {arm["arm"]: arm for arm in repeat["arms"]}
    rates = [f"{name} {Rate(*arm['behaves']).value:.2f}" for name, arm in arms.items()]
    complies = Rate(*arms["ablated"]["complies"]).value
    print(
        f"seed {repeat['seed']}: region {repeat['region']} of {repeat['dictionary']['regions']:,} "
        f"({repeat['rate'][1]} prompts); "
        f"behaviour: {', '.join(rates)}; complies {complies:.2f}; {plain.verdict(repeat)}"
    )


def _print_layers(trials: list[Plain]) -> None:
    from ep.studies.arms import DEFAULT, LAYER_ARMS
    from ep.studies.rates import Rate
    from ep.views import behaviour_words as words

    print("\nlayer by layer, on the prompts' last tokens: what is left of the behaviour")
    print(f"{'layer':>5}  {'region':>8}  " + "  ".join(f"{n:>19}" for n in (DEFAULT, *LAYER_ARMS)))
    for one in trials:
        by_arm = {arm["arm"]: Rate(*arm["behaves"]) for arm in one["arms"]}
        rates = [
            f"{by_arm[name].value:.2f} (n = {by_arm[name].n})" if name in by_arm else "–"
            for name in (DEFAULT, *LAYER_ARMS)
        ]
        region = "none" if one["region"] is None else str(one["region"])
        line = "  ".join(f"{rate:>19}" for rate in rates)
        print(f"{one['dictionary']['layer']:>5}  {region:>8}  {line}")
    if text := words.swept(trials):
        print(text)
