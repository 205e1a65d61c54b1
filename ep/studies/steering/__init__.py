"""Steering: what a model writes with regions taken out of its stream, or when pushed along them.

    setting   the settings of one run, their checks, and the interventions they stand for
    strength  the default strength, from the dictionary or from a sweep
    run       one prompt four times: default, ablated, steered, random control; written and measured
    sweep     many prompts at many strengths: where an effect begins, and where answers break down

`steer` and `sweep` are the two ways to run a `Setting`. The command line, the page and the code
that the page shows call these two and nothing below them.
"""

from ep.studies.steering.run import COLUMNS, UNWRITTEN, Continuation, Progress, Run, finished, steer
from ep.studies.steering.setting import MOST_REGIONS, MOST_TOKENS, Setting, checked
from ep.studies.steering.strength import default_strength
from ep.studies.steering.sweep import Dose, Sweep, default_strengths, sweep

__all__ = [
    "COLUMNS",
    "MOST_REGIONS",
    "MOST_TOKENS",
    "UNWRITTEN",
    "Continuation",
    "Dose",
    "Progress",
    "Run",
    "Setting",
    "Sweep",
    "checked",
    "default_strength",
    "default_strengths",
    "finished",
    "steer",
    "sweep",
]
