"""The words of the glossary: every term of the screens, with its definition and its source.

`glossary` looks them up. "Protocol" numbers are those that the modules of `ep.method` and
`ep.studies` cite. The texts are plain, without markup and without the metric's own name for a
distance, which the places that show one add.
"""

from __future__ import annotations

from dataclasses import dataclass

from ep.method.lenses import LENSES
from ep.views.prompt import READOUTS

PAPER = "Rumbelow 2026, arXiv 2605.14347"
JACOBIAN = "Gurnee et al. 2026, Transformer Circuits Thread; docs/lenses.md"
DICTIONARY, REGIONS, NUMBERS = "The dictionary", "A region", "Numbers of a region"
MAPS, LENS, MODEL = "Maps", "Read-outs", "Changing the model"
BEHAVIOUR, COMPARING, CERTAINTY = "Behaviours", "Two dictionaries", "How sure a number is"


@dataclass(frozen=True)
class Term:
    """One term.

    key: its name in the code and in the address of the page, such as "theta".
    name: its name on the page.
    text: one or two plain sentences.
    source: the paper and its section, the protocol's number, or the document that defines it.
    group: the heading under which the page lists it.
    labels: what figures, columns and controls with this meaning are called on the screens.
    """

    key: str
    name: str
    text: str
    source: str
    group: str
    labels: tuple[str, ...] = ()


ALL = (
    Term(
        "dictionary",
        "dictionary",
        "All regions of one layer of one model at one percentile, in one file. It says which "
        "directions the model's activations take, and how often.",
        f"{PAPER}; docs/format.md",
        DICTIONARY,
        ("Dictionary",),
    ),
    Term(
        "activation",
        "activation",
        "The vector that the model holds at one token, after one layer. A dictionary is built from "
        "many.",
        f"{PAPER}; protocol 1.6",
        DICTIONARY,
        ("activations",),
    ),
    Term(
        "layer",
        "layer",
        "The block of the model whose residual stream was partitioned; counted from 0.",
        "protocol 1.6",
        DICTIONARY,
        ("Layer",),
    ),
    Term(
        "dimensions",
        "dimensions, d",
        "The width of an activation: how many numbers it has.",
        "docs/format.md",
        DICTIONARY,
        ("dimensions", "d"),
    ),
    Term(
        "centre",
        "centre, c",
        "The common part of all activations, measured once and subtracted from each before "
        "directions are compared.",
        "protocol 1.1",
        DICTIONARY,
        ("between the centres",),
    ),
    Term(
        "typical_norm",
        "typical norm, r",
        "The median distance of an activation from the centre. Strengths are given in it, so that "
        "1 means the same on every model.",
        "docs/format.md",
        DICTIONARY,
    ),
    Term(
        "norm",
        "norm",
        "How far an activation lies from the centre, over the typical distance of the build.",
        "docs/format.md",
        DICTIONARY,
        ("norm",),
    ),
    Term(
        "p",
        "percentile p",
        "The share of pairs of activations, in percent, that lie closer than θ. A smaller p gives "
        "finer cells and more regions.",
        f"{PAPER}; protocol 1.2",
        DICTIONARY,
        ("Percentile p", "p"),
    ),
    Term(
        "theta",
        "threshold θ",
        "The distance within which an activation joins a region; farther from all exemplars, it "
        "founds a new one. It is measured once, from p.",
        f"{PAPER}; protocol 1.2, 2.1",
        DICTIONARY,
        ("θ",),
    ),
    Term(
        "metric",
        "metric",
        "How the distance of two activations is measured: by the angle of their directions from "
        "the centre, unless the dictionary says otherwise.",
        "docs/format.md",
        DICTIONARY,
    ),
    Term(
        "distance",
        "distance",
        "How far an activation lies from an exemplar: by default 1 minus the cosine of their "
        "directions, from 0 (the same) to 2 (opposite).",
        "protocol 3.1",
        DICTIONARY,
        ("distance", "Dist."),
    ),
    Term(
        "sink",
        "attention sink",
        "A token, mostly the first of a text, whose activation is far larger than all others and "
        "says little about the text.",
        "docs/building.md",
        DICTIONARY,
    ),
    Term(
        "region",
        "region",
        "One cell of the space of activations: all that lie nearer to its exemplar than to any "
        "other. Its number is the order in which it was founded.",
        f"{PAPER}; protocol 2.1",
        REGIONS,
        ("Region", "regions"),
    ),
    Term(
        "exemplar",
        "exemplar",
        "The direction of the activation that founded a region. It never moves.",
        f"{PAPER}; protocol 2.1",
        REGIONS,
        ("exemplars",),
    ),
    Term(
        "mean_direction",
        "mean direction",
        "The normalised sum of the directions of a region's members at arrival.",
        "protocol 2.7",
        REGIONS,
    ),
    Term(
        "passage",
        "passage and excerpt",
        "A passage is one text that the build read; an excerpt shows a part of it with the member "
        "of the region marked.",
        "docs/format.md",
        REGIONS,
    ),
    Term(
        "name",
        "name",
        "A label by people, by a model or by the author where there is one; else what sets the "
        "region's members apart, such as their most particular tokens.",
        "docs/labels.md",
        REGIONS,
        ("Name",),
    ),
    Term(
        "neighbourhood",
        "neighbourhood",
        "A group of regions whose exemplars lie close together; it gives a region its colour.",
        "docs/format.md",
        REGIONS,
    ),
    Term(
        "members",
        "members",
        "The activations of a region: Voronoi members where the file counts them, else members at "
        "arrival.",
        "protocol 2.4",
        NUMBERS,
        ("members", "Members A", "Members B"),
    ),
    Term(
        "voronoi",
        "Voronoi members",
        "Activations that lie nearest to this exemplar in the finished dictionary.",
        "protocol 2.4",
        NUMBERS,
        ("members, Voronoi",),
    ),
    Term(
        "arrival",
        "members at arrival",
        "Activations that joined the region while the dictionary grew, when later exemplars did "
        "not exist yet. Early regions therefore have too many.",
        "protocol 2.4",
        NUMBERS,
        ("at arrival", "Arrival"),
    ),
    Term(
        "share",
        "share of all",
        "The region's Voronoi members over all activations of the build.",
        "protocol 2.4",
        NUMBERS,
        ("share of all",),
    ),
    Term(
        "coherence",
        "coherence",
        "How alike the members' directions are: ‖Σû‖/N, the length of their mean at arrival. 1 "
        "when all point the same way.",
        "protocol 2.7",
        NUMBERS,
        ("coherence",),
    ),
    Term(
        "mean_distance",
        "mean distance",
        "The mean distance of a region's Voronoi members to its exemplar.",
        "docs/format.md",
        NUMBERS,
        ("mean distance", "Mean"),
    ),
    Term(
        "nearest",
        "nearest region",
        "The distance to the nearest other exemplar.",
        "protocol 2.14",
        NUMBERS,
        ("nearest region", "nearest"),
    ),
    Term(
        "agreement",
        "cosine to the mean",
        "The cosine of the exemplar with the mean direction: how far the founding activation "
        "stands for its members.",
        "protocol 6.3",
        NUMBERS,
        ("cos to mean", "cos exemplar, mean"),
    ),
    Term(
        "margin",
        "margin",
        "How much farther the second nearest exemplar is than the nearest.",
        "docs/format.md",
        NUMBERS,
        ("margin to 2nd",),
    ),
    Term(
        "contested",
        "contested",
        "The share of members that a second exemplar nearly takes: their margin is below a tenth "
        "of θ.",
        "docs/format.md",
        NUMBERS,
        ("contested",),
    ),
    Term(
        "founded",
        "founded at",
        "The number, in the stream of activations, of the one that founded the region.",
        "docs/format.md",
        NUMBERS,
        ("founded at",),
    ),
    Term(
        "stability",
        "stability D",
        "log10(N·c²) of N members at arrival with coherence c: their agreement, in members. "
        "Regions with a larger D are found again more often.",
        f"{PAPER}, A.7; protocol 6.1; docs/stability.md",
        NUMBERS,
        ("stability D", "D = log10(N·c²)"),
    ),
    Term(
        "survival",
        "survival",
        "The share of builds with other seeds that find the region again: its partner there has at "
        "least the cosine of the cutoff.",
        "docs/stability.md; protocol 6.4",
        NUMBERS,
        ("Survival",),
    ),
    Term(
        "map",
        "map",
        "A picture of all exemplars in three dimensions or two, each with its cell. Neighbours, "
        "distances and members are computed in the full space, never on the map.",
        "protocol 17",
        MAPS,
    ),
    Term(
        "kept_variance",
        "kept variance",
        "The share of the exemplars' spread that the directions of a map keep. The rest cannot be "
        "seen.",
        "docs/format.md",
        MAPS,
    ),
    Term(
        "trustworthiness",
        "trustworthiness",
        "How many of the neighbours on the map are neighbours in the full space, from 0 to 1; "
        "farther intruders weigh more.",
        "Venna and Kaski 2001",
        MAPS,
    ),
    Term(
        "logit_lens",
        "logit lens",
        "What a direction says in the words of the model's output: the last norm and the "
        "unembedding, applied to it.",
        "protocol 5.1; docs/lenses.md",
        LENS,
    ),
    Term(
        "jacobian_lens",
        "Jacobian lens, J-lens",
        "A lens that first carries a direction to the last layer by the mean derivative of that "
        "layer. It reads what a region comes to say in later tokens.",
        JACOBIAN,
        LENS,
    ),
    Term(
        "lens_tokens",
        "lens tokens",
        "The tokens that the dictionary's first lens ranks highest for a region: where its "
        "direction points in the output, not what its members are.",
        "docs/lenses.md",
        LENS,
        ("Lens tokens", "Lens", "Lens of A", "Lens of B"),
    ),
    Term(
        "ablate",
        "ablate",
        "Take a direction out: what the residual stream holds along it is removed, about a "
        "reference point such as the centre.",
        f"{PAPER}; protocol 8.5",
        MODEL,
    ),
    Term(
        "steer",
        "steer, add",
        "Push the residual stream along a direction, by a strength in units of the typical norm.",
        "protocol 16",
        MODEL,
    ),
    Term(
        "swap",
        "swap",
        "Take a direction out and put the value of another region's mean in its place.",
        f"{PAPER}, version 3",
        MODEL,
    ),
    Term(
        "clamp",
        "clamp",
        "Hold the residual stream at one value along a direction.",
        "protocol 16",
        MODEL,
    ),
    Term(
        "strength",
        "strength",
        "How far the stream is moved: in typical norms where it is pushed, as a share of the whole "
        "way where something is taken out.",
        "docs/format.md",
        MODEL,
        ("Strength",),
    ),
    Term(
        "random_control",
        "random control",
        "The same intervention of the same length along a random direction. What it changes too "
        "is not an effect of the region.",
        f"{PAPER}; protocol 8.7",
        MODEL,
    ),
    Term(
        "log_prob",
        "log-probability",
        "The mean log-probability of a written token, under the model that wrote it.",
        "protocol 16",
        MODEL,
        ("log-prob",),
    ),
    Term(
        "repetition",
        "repetition",
        "The share of written words that were said before.",
        "protocol 16",
        MODEL,
        ("repetition",),
    ),
    Term(
        "zipped",
        "zipped",
        "The size of the text after compression, over that before. Far below that of the default, "
        "the text repeats itself.",
        "protocol 16",
        MODEL,
        ("zipped",),
    ),
    Term(
        "kl",
        "KL divergence",
        "How far the changed model's predictions differ from the unchanged one's, in nats, token "
        "by token on the text of the unchanged one.",
        "protocol 16",
        MODEL,
        ("KL",),
    ),
    Term(
        "refusal",
        "refusal",
        "An answer that declines the request, by the phrases or the model that judge it.",
        "protocol 8.4",
        BEHAVIOUR,
    ),
    Term(
        "candidate",
        "candidate",
        "A region in which at least five prompts end, 30 % of which show the behaviour.",
        "protocol 8.6",
        BEHAVIOUR,
    ),
    Term(
        "lift",
        "lift",
        "The rate of the behaviour among the prompts of a region, over its rate among all prompts.",
        "protocol 8.6",
        BEHAVIOUR,
        ("Lift",),
    ),
    Term(
        "matched_region",
        "matched region",
        "A region without the behaviour, otherwise most like the one that is tried: the control of "
        "a trial.",
        "protocol 8.7",
        BEHAVIOUR,
    ),
    Term(
        "partner",
        "partner",
        "The region of the other dictionary that the pairing with the largest sum of cosines "
        "assigns, one to one.",
        f"{PAPER}; protocol 7.1",
        COMPARING,
    ),
    Term(
        "counterpart",
        "nearest counterpart",
        "The nearest region of the other dictionary; several regions may have the same.",
        "protocol 7.4",
        COMPARING,
        ("Closest",),
    ),
    Term(
        "persisted",
        "persisted",
        "A region whose partner is at or above the cutoff.",
        "protocol 7.2",
        COMPARING,
    ),
    Term(
        "moved",
        "moved",
        "A region without such a partner, yet with a near counterpart: as near as that of nine of "
        "ten regions in another seed.",
        "protocol 7.2, 7.4",
        COMPARING,
    ),
    Term(
        "only",
        "only here",
        "A region with nothing near in the other dictionary.",
        "protocol 7.2",
        COMPARING,
    ),
    Term(
        "cutoff",
        "cutoff",
        "The cosine from which a partner counts as the same region; 0.7 unless you move it.",
        "protocol 7.2",
        COMPARING,
        ("Cutoff",),
    ),
    Term(
        "ami",
        "adjusted mutual information, AMI",
        "How far two partitions of the same positions agree: 1 for equal ones, about 0 for "
        "unrelated ones.",
        "Vinh et al. 2010",
        COMPARING,
        ("AMI",),
    ),
    Term(
        "between",
        "between A and B",
        "A region that is nearer to A, and nearer to B, than A and B are to each other.",
        "protocol 11.1",
        COMPARING,
    ),
    Term(
        "seed",
        "another seed",
        "The same build on the same text in another order. What differs there is noise, and two "
        "models must differ by more.",
        f"{PAPER}, A.7; protocol 6.2",
        CERTAINTY,
        ("in another seed",),
    ),
    Term(
        "interval",
        "95 % interval",
        "Where the share would lie in 95 of 100 repetitions with as many cases, by Wilson's "
        "formula.",
        "Wilson 1927",
        CERTAINTY,
        ("95 %",),
    ),
    Term(
        "chance",
        "by chance",
        "The same number after everything that could link the two sides was shuffled away.",
        "docs/format.md",
        CERTAINTY,
        ("by chance",),
    ),
)


def lenses() -> tuple[Term, ...]:
    """Return a term for every kind of stored lens, whose words are those of `ep.method.lenses`."""
    return tuple(
        Term(
            f"lens_{kind.name}",
            f"lens: {kind.title}",
            f"{kind.about} Formula: {kind.formula}.",
            JACOBIAN if kind.is_jacobian else "docs/lenses.md",
            LENS,
        )
        for kind in LENSES.values()
    )


def readouts() -> tuple[Term, ...]:
    """Return a term for every read-out of a token, in the words of `ep.views.prompt`."""
    sources = {"Otsu": "protocol 3.3"}
    return tuple(
        Term(
            f"readout_{name.lower().replace(' ', '_').replace('θ', 'theta')}",
            f"read-out: {name}",
            f"{text[:1].upper()}{text[1:]}.",
            sources.get(name, "protocol 3.1"),
            LENS,
        )
        for name, text in READOUTS.items()
    )
