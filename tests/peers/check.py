"""Asks SAELens and SAEBench themselves: run by `make peers` in an environment of its own, since
SAELens needs another TransformerLens than the explorer. Prints one line per check; exits 1 at the
first that fails.

    check.py FOLDER

FOLDER holds sae/ (our export), x.npy (n, d), region.npy (n,), features.npz (by read-out).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from sae_lens import SAE, __version__


def main(folder: Path) -> None:
    x = torch.from_numpy(np.load(folder / "x.npy"))
    region = np.load(folder / "region.npy")
    sae = SAE.load_from_disk(folder / "sae")
    features = sae.encode(x)
    active = features.argmax(dim=-1).numpy()
    say(f"SAELens {__version__}: same active region", int((active == region).sum()), len(region))
    say("SAELens: exactly one active latent", int(((features > 0).sum(-1) == 1).sum()), len(region))
    expected = torch.from_numpy(np.load(folder / "features.npz")["topk"])
    say(
        "SAELens: same activation",
        int(torch.isclose(features, expected, atol=1e-3).all(-1).sum()),
        len(region),
    )
    u = x - sae.b_dec
    kept = u - (sae.decode(features) - sae.b_dec)
    along = (kept * sae.W_dec[active]).sum(-1).abs() / u.norm(dim=-1)
    say("SAELens: decode takes off the projection", int((along < 1e-4).sum()), len(region))
    sae.fold_W_dec_norm()
    say(
        "SAELens: folding changes nothing",
        int((sae.encode(x).argmax(-1).numpy() == region).sum()),
        len(region),
    )
    saebench(folder, x)


def saebench(folder: Path, x: torch.Tensor) -> None:
    """SAEBench's own base class and its top-k autoencoder, given our weights."""
    from sae_bench.custom_saes.base_sae import BaseSAE
    from sae_bench.custom_saes.topk_sae import TopKSAE
    from safetensors.torch import load_file

    weights = load_file(folder / "sae" / "sae_weights.safetensors")
    d, size = weights["W_enc"].shape
    peer = TopKSAE(d, size, 1, "demo", 4, torch.device("cpu"), torch.float32)
    peer.load_state_dict({**weights, "k": torch.tensor(1, dtype=torch.int)})
    stored = np.load(folder / "features.npz")
    same = torch.isclose(peer.encode(x), torch.from_numpy(stored["topk"]), atol=1e-3).all(-1)
    say("SAEBench: its own top-k gives our topk", int(same.sum()), len(x))
    say("SAEBench: decoder rows are unit rows", int(BaseSAE.check_decoder_norms(peer)), 1)
    fields = set(np.load(folder / "config.npz")["names"].tolist())
    wanted = set(peer.cfg.to_dict())
    say("SAEBench: every config field is there", len(wanted & fields), len(wanted))


def say(what: str, good: int, n: int) -> None:
    print(f"{'ok  ' if good == n else 'FAIL'} {what}: {good:,} of {n:,}")
    if good != n:
        raise SystemExit(1)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main(Path(sys.argv[1]))
