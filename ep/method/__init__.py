"""Exemplar Partitioning itself: arrays in, arrays out. Knows no model, no file and no screen.

    geometry      raw activations to unit directions, cosine distance
    calibration   centre and thresholds            (percentiles: exact ones of all pairs, in bounded memory)
    leaders       the clustering                   (nearest: the law of the nearest exemplar; search: the same, fast)
    members       what is remembered of members    (excerpts, counting, summing, growing, priority: its parts)
    saturation    when to stop
    draft         one dictionary in the making
    dictionary    one finished, with regions and excerpts; assignment: what it says of activations
    readouts      which regions an activation activates
    surroundings  nearest regions, map axes, groups

Nothing here loads torch but leaders and search; both are left out of the names below.
"""

from __future__ import annotations

from ep.method.assignment import Assignment
from ep.method.calibration import Calibration, calibrate
from ep.method.dictionary import Dictionary, Excerpt, MemorySource, Region, Source
from ep.method.geometry import cosine_distance, directions
from ep.method.members import ArrivalMembers, Events, VoronoiMembers

__all__ = [
    "ArrivalMembers",
    "Assignment",
    "Calibration",
    "Dictionary",
    "Events",
    "Excerpt",
    "MemorySource",
    "Region",
    "Source",
    "VoronoiMembers",
    "calibrate",
    "cosine_distance",
    "directions",
]
