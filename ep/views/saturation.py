"""The comparison of domains as a table, and its sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ep.studies.rates import Rate
from ep.studies.saturation import Interval
from ep.studies.saturation_result import RULE, Comparison, Domain, Saturation

COLUMNS = {
    "name": "text",
    "n": "n",
    "regions": "K",
    "per_1000": "K per 1,000",
    "chao1": "Chao1 (95 %)",
    "chao2": "Chao2 (95 %)",
    "rate": "new in 1,000 (95 %)",
    "limit": "limit, if any",
    "orders": "K, other orders",
    "halves": "K of halves",
    "own": "own regions",
    "control": "apart: own half",
    "apart": "apart: others' half",
}
"""The columns of the table in text, with their titles."""
NO_LIMIT = "none in sight"
ASSUMED = (
    "Chao1 and Chao2 are lower bounds of the regions at n → ∞, from those with one and two members "
    "(Chao1) or passages (Chao2); tokens of a passage are not independent, so Chao1's interval is "
    "too narrow"
)
CONTROL = (
    "apart: share of the regions of one half of a text that no activation of n/2 others is within "
    "θ of: of its own other half (the control), and of half of the other texts"
)


def row(domain: Domain) -> dict[str, str]:
    """Return one text as cells of text, by column of COLUMNS."""
    share = len(domain.own) / domain.regions
    return {
        "name": domain.name,
        "n": f"{domain.n:,}",
        "regions": f"{domain.regions:,}",
        "per_1000": f"{1000 * domain.regions / domain.n:.1f}",
        "chao1": spread(domain.members.total),
        "chao2": spread(domain.passages.total),
        "rate": _per_1000(domain.rate),
        "limit": limit(domain),
        "orders": " ".join(f"{k:,}" for k in domain.orders),
        "halves": " ".join(f"{k:,}" for k in domain.halves),
        "own": f"{len(domain.own):,} ({100 * share:.0f} %)",
        "control": _percent(domain.control),
        "apart": _range([rate.value or 0.0 for rate in domain.apart.values()]),
    }


def limit(domain: Domain) -> str:
    """Return the fitted limit with its range over the orders, or that there is none in sight."""
    return NO_LIMIT if domain.growth.reason else spread(domain.growth.limit)


def spread(value: Interval) -> str:
    """Return an estimate with its interval, in whole regions."""
    return f"{value.value:,.0f} ({value.low:,.0f} to {value.high:,.0f})"


def _per_1000(rate: Rate) -> str:
    low, high = rate.interval or (0.0, 1.0)
    return f"{1000 * (rate.value or 0):.0f} ({1000 * low:.0f} to {1000 * high:.0f})"


def _range(shares: Sequence[float]) -> str:
    """Return shares as one percentage, or as the least and the largest."""
    low, high = (f"{100 * share:.0f}" for share in (min(shares), max(shares)))
    return f"{low} %" if low == high else f"{low} to {high} %"


def _percent(rate: Rate) -> str:
    return f"{100 * (rate.value or 0):.0f} %"


def title(one: Comparison) -> str:
    """Return what is compared, in a phrase."""
    return f"layer {one.layer}, p = {one.percentile:g}, θ = {one.threshold:.4f}"


def remarks(one: Comparison) -> Iterator[str]:
    """Yield what the table does not say, a sentence each, without a full stop."""
    joint = one.joint
    alone = ", ".join(f"{count:,} of {name} alone" for name, count in joint.alone.items())
    together = sum(domain.regions for domain in one.domains)
    yield (
        f"all together: {joint.regions:,} regions ({together:,} apart); by arrival members "
        f"{alone}, {joint.shared:,} of every text"
    )
    for domain in one.domains:
        growth = domain.growth
        a, b = growth.heaps
        miss = ", ".join(f"{100 * error:+.1f} %" for error in growth.errors)
        apart = ", ".join(f"{name} {_percent(rate)}" for name, rate in domain.apart.items())
        yield (
            f"{domain.name}: apart from its own half {_percent(domain.control)}, from a half of "
            f"{apart} of the regions of its halves"
        )
        yield (
            f"{domain.name}: K ≈ {a:.2f}·n^{b:.2f}, exponent over the last doubling "
            f"{growth.exponent:.2f}; from the first half, K is predicted at {miss} without and "
            f"with a limit" + (f"; no limit: {growth.reason}" if growth.reason else "")
        )
    yield RULE
    yield CONTROL
    yield ASSUMED


def facts(found: Saturation) -> dict[str, Any]:
    """Return the whole result as JSON values."""
    return {
        "n": found.n,
        "calibration_of_each": found.shared,
        "rule": RULE,
        "notes": list(found.notes),
        "comparisons": [
            {
                "layer": one.layer,
                "percentile": one.percentile,
                "threshold": one.threshold,
                "texts": [_domain(domain) for domain in one.domains],
                "joint": {
                    "regions": one.joint.regions,
                    "alone": dict(one.joint.alone),
                    "shared": one.joint.shared,
                    "curve": _pairs(one.joint),
                },
            }
            for one in found.comparisons
        ],
    }


def _domain(domain: Domain) -> dict[str, Any]:
    growth = domain.growth
    return {
        "name": domain.name,
        "n": domain.n,
        "regions": domain.regions,
        "chao1": _chao(domain.members),
        "chao2": _chao(domain.passages),
        "rate": _rate(domain.rate),
        "heaps": {"a": growth.heaps[0], "b": growth.heaps[1]},
        "last_exponent": growth.exponent,
        "limit": _interval(growth.limit),
        "no_limit": growth.reason,
        "predicted_from_half": {"heaps": growth.errors[0], "limit": growth.errors[1]},
        "other_orders": list(domain.orders),
        "halves": list(domain.halves),
        "own": domain.own.tolist(),
        "control": _rate(domain.control),
        "apart": {name: _rate(rate) for name, rate in domain.apart.items()},
        "curve": _pairs(domain),
        "file": None if domain.file is None else str(domain.file),
    }


def _chao(found: Any) -> dict[str, Any]:
    return {"once": found.once, "twice": found.twice, "n": found.n} | _interval(found.total)


def _interval(value: Interval) -> dict[str, float]:
    return {"value": value.value, "low": value.low, "high": value.high}


def _rate(rate: Rate) -> dict[str, Any]:
    return {"hits": rate.hits, "n": rate.n, "value": rate.value, "interval": rate.interval}


def _pairs(one: Any) -> list[list[int]]:
    return [[int(n), int(k)] for n, k in zip(one.curve.seen, one.curve.regions, strict=True)]


def own_rows(one: Comparison, domain: Domain) -> Iterator[Mapping[str, Any]]:
    """Yield the regions that are a text's own: the most members first."""
    members = domain.dictionary.column("count_voronoi")
    for region in sorted(domain.own.tolist(), key=lambda k: (-int(members[k]), k)):
        founder = domain.dictionary.region(region).founder
        nearest = {name: float(away[region]) for name, away in domain.away.items()}
        yield {
            "text": domain.name,
            "layer": one.layer,
            "percentile": one.percentile,
            "region": region,
            "members": int(members[region]),
            "nearest": min(nearest.values()),
            "founder": founder,
        }


# -- tables to export ------------------------------------------------------------------------------


def summary(one: Comparison) -> dict[str, list[Any]]:
    """Return the table as columns of exact values, a row for each text."""
    rows = [_domain(domain) for domain in one.domains]
    chosen = ("name", "n", "regions", "last_exponent", "no_limit")
    columns = {name: [row[name] for row in rows] for name in chosen}
    for name in ("chao1", "chao2", "limit"):
        columns |= {f"{name}_{end}": [row[name][end] for row in rows] for end in _ENDS}
    columns["rate"] = [row["rate"]["value"] for row in rows]
    columns["control_apart"] = [row["control"]["value"] for row in rows]
    columns["own_regions"] = [len(row["own"]) for row in rows]
    return columns


_ENDS = ("value", "low", "high")


def points(one: Comparison) -> dict[str, list[Any]]:
    """Return the curves as columns, a row for each point."""
    rows = [(d.name, n, k) for d in one.domains for n, k in _pairs(d)]
    return {name: [row[i] for row in rows] for i, name in enumerate(("text", "n", "regions"))}


def own(one: Comparison) -> dict[str, list[Any]]:
    """Return the regions of one text alone as columns, with the text around their founders."""
    found = [row for domain in one.domains for row in own_rows(one, domain)]
    columns = {name: [row[name] for row in found] for name in ("text", "region", "members")}
    columns["nearest_of_another"] = [row["nearest"] for row in found]
    columns["exemplar"] = [row["founder"].token if row["founder"] else "" for row in found]
    columns["passage"] = ["".join(row["founder"].pieces) if row["founder"] else "" for row in found]
    return columns
