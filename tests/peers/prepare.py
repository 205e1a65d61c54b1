"""Writes what the peers are asked about: our exports of a demo dictionary, 1,000 real activations,
and our answers.

prepare.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import ep
from ep.corpus import Corpus
from ep.method.readouts import FEATURES
from ep.models import read
from ep.models.saebench import Readout
from ep.storage.interop import saelens

ROOT = Path(__file__).resolve().parents[2]
N = 1000


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    dictionary = ep.open(ROOT / "data/demo/dictionaries/all-tokens/tuned-L4-p2.ep.h5")
    model = ep.load(str(ROOT / "data/demo/models/tuned"))
    rows: list[np.ndarray] = []
    for passage in Corpus((str(ROOT / "data/demo/text/mixed.jsonl"),), seed=7):
        rows.append(read(model, model.encode_prompt(passage.text).ids[:128], [4])[4][1:])
        if sum(map(len, rows)) >= N:
            break
    x = np.concatenate(rows)[:N]
    saelens.write(dictionary, folder / "sae")
    np.save(folder / "x.npy", x)
    np.save(folder / "region.npy", dictionary.assign(x).region)
    answers = {
        name: read_out(x, dictionary.center, dictionary.exemplars)
        for name, read_out in FEATURES.items()
    }
    np.savez(folder / "features.npz", **answers)
    np.savez(folder / "config.npz", names=np.array(list(Readout(dictionary).cfg.to_dict())))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
