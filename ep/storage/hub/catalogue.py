"""The thirteen published dictionaries of `J-RUM/exemplar-partitioning`, as known without a network.

Counts of regions and tokens are the dataset card's; thresholds, activations, sizes and counts "in
the file" were published by the author or by readers of the files, and are absent where nobody
published one. All were built on the Pile with a context of 128, batches of 128, seed 0, every token
position. This room contacts nobody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

REPOSITORY = "J-RUM/exemplar-partitioning"
KNOWN_REVISION = "0ec26618"
"""How the revision begins that these facts are about; the full one is asked of the Hub on first
contact.
"""
LICENCE = "Apache-2.0"

MB, GB = 10**6, 10**9


@dataclass(frozen=True)
class Published:
    """One published dictionary.

    short: the model's name without its owner; layer: of the residual stream; percentile: p in
    percent.
    regions: K on the dataset's card; regions_seen: K that readers counted in the file, None when
    nobody said.
    tokens: streamed, from the card; activations: assigned, as readers saw it; threshold: θ, a
    cosine distance.
    size: of the pickle in bytes, rounded as it was published, None when unknown until the Hub is
    asked.
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
    def key(self) -> str:
        """Model, layer and percentile: "gemma-2-2b/12/10"."""
        return f"{self.short}/{self.layer}/{self.percentile}"

    @property
    def name(self) -> str:
        """What `ep import` takes: "hub:gemma-2-2b/12/10"."""
        return f"hub:{self.key}"

    @property
    def path(self) -> str:
        """Of the pickle in the repository."""
        return f"{self.short}_L{self.layer}_p{self.percentile}/{self.short}_layer{self.layer}.pkl"

    @property
    def metadata(self) -> str:
        """Of the JSON beside it."""
        return self.path.removesuffix(".pkl") + "_metadata.json"

    @property
    def file_name(self) -> str:
        """Of the converted dictionary here."""
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
    """The published dictionary a name means ("hub:gemma-2-2b/12/10", "hub:" may be missing); None
    for any other.
    """
    found = _NAME.fullmatch(name.strip())
    if found is None:
        return None
    asked = (found["model"].lower(), int(found["layer"]), int(found["percentile"]))
    return next((p for p in PUBLISHED if (p.short, p.layer, p.percentile) == asked), None)


def meant(key: str) -> Published | None:
    """The published dictionary a link's key looks like, whatever its family is called on a shelf;
    None when none.
    """
    if exact := lookup(key):
        return exact
    family, _, step = key.lower().partition("/")
    alike = [p for p in PUBLISHED if p.short in family and f"{p.layer}/{p.percentile}" == step]
    return max(alike, key=lambda p: len(p.short), default=None)
