"""Runs benchmarks and writes the tables in benchmarks/README.md.

python -m benchmarks                 runs all of them but the slow ones
python -m benchmarks leaders memory  runs some; the tables of the others are not changed
"""

from __future__ import annotations

import importlib
import json
import platform
import sys
from datetime import date
from pathlib import Path
from typing import Any

NAMES = (
    "leaders",
    "extraction",
    "ladder",
    "building",
    "opening",
    "listing",
    "importing",
    "memory",
    "clicks",
    "maps",
    "searching",
    "naming",
    "lens",
    "describing",
    "jacobian",
    "generation",
    "between",
    "stability",
    "matching",
    "meaning",
)
SLOW = ("large",)
"""Run only when named, since they take many minutes."""
HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
README = HERE / "README.md"
BY_HAND = (HERE / "building.md", HERE / "which_lens.md", HERE / "meaning.md")
"""Measured by hand, since the real model is not in the repository; the page ends with them."""
SHOWN = ("what", "ratio", "target", "at_most", "of")
"""Entries of a row with a column of their own, or without one; all others are in "measured"."""


def main(names: list[str]) -> None:
    """Run the named benchmarks, or all, store their rows and write the tables."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in names or NAMES:
        print(f"{name} …", flush=True)
        rows = importlib.import_module(f"benchmarks.{name}").run()
        results[name] = {"date": date.today().isoformat(), "machine": machine(), "rows": rows}
        for row in rows:
            print(f"  {verdict(row)}  {json.dumps(row)}", flush=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    README.write_text(readme(results))


def readme(results: dict[str, Any]) -> str:
    """Return the page with the tables, the machine and the commands.

    A row's target is for its ratio, or for the entry that its "of" names.
    """
    lines = [
        "# Benchmarks",
        "",
        "Every figure is measured against a named rival in the same run and given as a ratio, "
        "since seconds belong to",
        "a machine and its load. `make bench` runs all of them but the slow ones and rewrites "
        "this page; each also runs alone,",
        "for example `python -m benchmarks.leaders`. What is measured, and how, is in each "
        "program's first lines.",
    ]
    for name in (*NAMES, *SLOW):
        if name in results:
            kept = results[name]
            lines += [
                "",
                f"## {name}",
                "",
                f"`python -m benchmarks.{name}` · {kept['date']} · {kept['machine']}",
                "",
            ]
            lines += ["| what | ratio | target | measured |", "|---|---|---|---|"]
            lines += [table_row(row) for row in kept["rows"]]
    return "\n".join(lines) + "\n\n" + "\n".join(path.read_text("utf-8") for path in BY_HAND)


def table_row(row: dict[str, Any]) -> str:
    """Return a row as a line of a Markdown table."""
    more = ", ".join(
        f"{key.replace('_', ' ')} {value}" for key, value in row.items() if key not in SHOWN
    )
    return f"| {row['what']} | {row.get('ratio', '')} | {target(row)} | {more} |"


def target(row: dict[str, Any]) -> str:
    """Return the target of a row as text; empty when it has none."""
    if row.get("target") is None:
        return ""
    name = f"{row['of'].replace('_', ' ')} " if "of" in row else ""
    missed = "" if verdict(row) == "ok" else " (missed)"
    return f"{name}{'≤' if row.get('at_most') else '≥'} {row['target']}{missed}"


def verdict(row: dict[str, Any]) -> str:
    """Return "ok", "MISSED", or "--" for a row without a target."""
    if row.get("target") is None:
        return "--"
    measured = row[row.get("of", "ratio")]
    met = measured <= row["target"] if row.get("at_most") else measured >= row["target"]
    return "ok" if met else "MISSED"


def machine() -> str:
    """Return the name of the processor and its number of cores."""
    import os

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")),
        platform.processor(),
    )
    return f"{model}, {os.cpu_count()} cores"


if __name__ == "__main__":
    main(sys.argv[1:])
