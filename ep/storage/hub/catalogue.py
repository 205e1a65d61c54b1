"""The catalogue of the thirteen published dictionaries of `J-RUM/exemplar-partitioning`.

Counts of regions and tokens are from the dataset's card. Thresholds, activations, sizes and the
counts of regions in the files themselves were published by the author or by people who read the
files; they are None where they were not published. All dictionaries were built on the Pile, at
every token position, with a context of 128, batches of 128 and seed 0. Nothing here uses the
network.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

REPOSITORY = "J-RUM/exemplar-partitioning"
KNOWN_REVISION = "0ec26618"
"""Start of the revision that this catalogue describes; the Hub gives the full one."""
LICENCE = "Apache-2.0"

MB, GB = 10**6, 10**9
MEMORY = (0.3 * GB, 3.0)
"""Memory of a conversion: of the process itself, and for each byte of the vectors.

Measured at d = 2,304: 222 MB at K = 200, 356 MB at 2,000 and 515 MB at 6,000.
"""


@dataclass(frozen=True)
class Published:
    """One published dictionary; facts that were not published are None.

    short: the model's name without its owner.
    layer: block of the residual stream.
    percentile: p in percent.
    regions: K according to the dataset's card.
    tokens: tokens streamed, according to the card.
    threshold: θ, a distance.
    activations: activations assigned.
    regions_seen: K as counted in the file itself.
    size: bytes of the pickle, rounded as published.
    """

    short: str
    layer: int
    percentile: int
    regions: int
    tokens: int
    threshold: float | None = None
    activations: int | None = None
    regions_seen: int | None = None
    size: int | None = None

    @property
    def model(self) -> str:
        """The model's name on the Hub."""
        return f"google/{self.short}"

    @property
    def width(self) -> int:
        """Dimensions of the residual stream: 2,304 for both Gemma-2-2B models."""
        return 2304

    @property
    def stored_bytes(self) -> int:
        """Bytes of the vectors in the `.ep.h5` file: an exemplar and a mean for each region."""
        return 2 * (self.regions_seen or self.regions) * self.width * 4

    @property
    def memory_bytes(self) -> int:
        """Bytes of memory that converting the file takes at most, about; see `MEMORY`."""
        base, copies = MEMORY
        return int(base + copies * self.stored_bytes)

    @property
    def key(self) -> str:
        """Model, layer and percentile: "gemma-2-2b/12/10"."""
        return f"{self.short}/{self.layer}/{self.percentile}"

    @property
    def name(self) -> str:
        """The name that `ep import` takes: "hub:gemma-2-2b/12/10"."""
        return f"hub:{self.key}"

    @property
    def path(self) -> str:
        """The path of the pickle in the repository."""
        return f"{self.short}_L{self.layer}_p{self.percentile}/{self.short}_layer{self.layer}.pkl"

    @property
    def metadata(self) -> str:
        """The path of the JSON beside the pickle."""
        return self.path.removesuffix(".pkl") + "_metadata.json"

    @property
    def file_name(self) -> str:
        """The name of the converted file."""
        return f"{self.short}_L{self.layer}_p{self.percentile}.ep.h5"


PUBLISHED = (
    Published("gemma-2-2b", 12, 1, 20_295, 15_207_552, size=6 * GB),
    Published("gemma-2-2b", 12, 2, 5_129, 5_069_184, size=1700 * MB),
    Published("gemma-2-2b", 12, 4, 1_193, 1_023_744),
    Published("gemma-2-2b", 12, 8, 292, 313_728),
    Published("gemma-2-2b", 12, 10, 203, 346_752, 0.8744, regions_seen=203, size=65 * MB),
    Published("gemma-2-2b", 20, 10, 192, 313_728, 0.9065, 311_296, 192),
    Published("gemma-2-2b-it", 4, 4, 491, 1_000_000, 0.8588, 557_056, 491),
    Published("gemma-2-2b-it", 12, 10, 145, 132_096, 0.8846, 131_072, 145),
    Published("gemma-2-2b-it", 20, 1, 5_796, 3_649_152, 0.779816, 3_620_864, 5_796, 1770 * MB),
    Published("gemma-2-2b-it", 20, 2, 1_882, 1_007_232, 0.821454, 1_589_248, 2_037, 624 * MB),
    Published("gemma-2-2b-it", 20, 4, 738, 875_136, 0.861254, 573_440, 686, 216 * MB),
    Published("gemma-2-2b-it", 20, 8, 252, 346_752, 0.900035, 294_912, 226, 71 * MB),
    Published("gemma-2-2b-it", 20, 10, 176, 379_776, 0.912395, 376_832, 176, 57 * MB),
)

_NAME = re.compile(
    r"(?:hub:)?(?P<model>[\w.-]+)/L?(?P<layer>\d+)/p?(?P<percentile>\d+)", re.IGNORECASE
)


def lookup(name: str) -> Published | None:
    """Return the published dictionary with a name such as "hub:gemma-2-2b/12/10", else None.

    The prefix "hub:" may be missing.
    """
    match = _NAME.fullmatch(name.strip())
    if match is None:
        return None
    key = (match["model"].lower(), int(match["layer"]), int(match["percentile"]))
    return next((p for p in PUBLISHED if (p.short, p.layer, p.percentile) == key), None)


def resolve_key(key: str) -> Published | None:
    """Return the published dictionary that a link's key seems to refer to, else None.

    key: "FAMILY/LAYER/PERCENTILE", where the family's name contains the model's.
    """
    if exact := lookup(key):
        return exact
    family, _, rest = key.lower().partition("/")
    matches = [p for p in PUBLISHED if p.short in family and f"{p.layer}/{p.percentile}" == rest]
    # "gemma-2-2b" is part of "gemma-2-2b-it": the longest name is the right one.
    return max(matches, key=lambda p: len(p.short), default=None)
