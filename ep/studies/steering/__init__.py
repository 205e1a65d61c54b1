"""Steering: what a model does with regions taken out of its stream, or pushed along it.

    setting   what one run is asked for, checked, and the interventions it means
    strength  the default strength, from the dictionary or from a sweep
    run       one prompt four times: default, ablated, steered, random control; written and measured
    sweep     many prompts at many strengths: where an effect begins, and where answers break

`steer` and `sweep` are the two ways to run a `Setting`; the command, the page and the code it shows
call them and nothing beneath.
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
