"""A dictionary in the form that SAEBench evaluates: encode, decode, decoder rows and a config.

There are six read-outs, as in the paper's adapter (protocol 3.2). SAEBench's sparse probing is
usually run with "signed", its other evaluations with "topk". The default basis is the exemplars,
the directions that decide membership; the paper's adapter uses the mean directions (protocol W24).
SAEBench itself is not needed: the object only has the attributes that it expects.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from ep.errors import ConfigError
from ep.method.dictionary import Basis, Dictionary
from ep.method.readouts import FEATURES

EPSILON = 1e-12
"""Smallest norm that a centred activation is divided by."""


@dataclass
class ReadoutConfig:
    """The config fields that SAEBench reads.

    Fields without meaning for a dictionary have SAEBench's own neutral values.
    """

    model_name: str
    d_in: int
    d_sae: int
    hook_layer: int
    hook_name: str
    architecture: str
    dtype: str = "float32"
    device: str = "cpu"
    context_size: int | None = None
    hook_head_index: int | None = None
    apply_b_dec_to_input: bool = True
    finetuning_scaling_factor: bool = False
    activation_fn_str: str = ""
    activation_fn_kwargs: dict[str, Any] = field(default_factory=dict)
    prepend_bos: bool = True
    normalize_activations: str = "none"
    model_from_pretrained_kwargs: dict[str, Any] = field(default_factory=dict)
    dataset_path: str = ""
    dataset_trust_remote_code: bool = True
    seqpos_slice: tuple[int | None, ...] = (None,)
    training_tokens: int = -100_000
    sae_lens_training_version: str | None = None
    neuronpedia_id: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dict."""
        return asdict(self)


class Readout(nn.Module):
    """A dictionary with one of six read-outs, as a torch module.

    dictionary: its regions become the features.
    readout: a name in `ep.method.readouts.FEATURES`.
    basis: "exemplar" or "mean".
    k: number of regions kept by "topk" and "topk_norm".

    Raw activations (..., d) become features f (..., K). `decode` returns f B + c, which is not an
    inverse. Raises ConfigError for an unknown read-out, a k out of range, and a metric that
    stretches the space or compares more than directions.
    """

    def __init__(
        self, dictionary: Dictionary, readout: str = "topk", basis: Basis = "exemplar", k: int = 1
    ) -> None:
        super().__init__()
        if readout not in FEATURES:
            raise ConfigError(f"read-out {readout!r} is unknown: use one of {', '.join(FEATURES)}")
        if not 1 <= k <= len(dictionary):
            raise ConfigError(
                f"k = {k} was asked for: expected 1 to {len(dictionary)}, the number of regions"
            )
        if dictionary.law.extra or not dictionary.metric.is_plain:
            raise ConfigError(
                f"the metric is {dictionary.metric.name}: SAEBench needs a decoder with rows of "
                "length 1, which only centred and uncentred dictionaries have"
            )
        rows = torch.from_numpy(np.array(dictionary.basis(basis), np.float32))
        self.readout, self.k = readout, k
        self.W_dec = nn.Parameter(rows, requires_grad=False)
        self.W_enc = nn.Parameter(rows.T.contiguous(), requires_grad=False)
        self.b_enc = nn.Parameter(torch.zeros(len(rows)), requires_grad=False)
        self.b_dec = nn.Parameter(
            torch.from_numpy(np.array(dictionary.center, np.float32)), requires_grad=False
        )
        info = dictionary.info
        self.cfg = ReadoutConfig(
            model_name=str(info.get("model_name") or ""),
            d_in=dictionary.width,
            d_sae=len(dictionary),
            hook_layer=int(info.get("layer") or 0),
            hook_name=str(info.get("hook") or ""),
            architecture=f"ep_{basis}_{readout}",
            context_size=info.get("context"),
        )

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return self.W_dec.device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the parameters."""
        return self.W_dec.dtype

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features (..., K) of raw activations x (..., d)."""
        # normalised, the scores are cosines; otherwise they grow with the distance from the centre
        u = x.to(self.dtype) - self.b_dec
        if self.readout in ("cosine", "signed_norm", "topk_norm", "binary"):
            u = u / u.norm(dim=-1, keepdim=True).clamp_min(EPSILON)
        scores = u @ self.W_enc
        if self.readout in ("cosine", "signed_norm"):
            return scores.clamp(-1, 1)
        if self.readout == "signed":
            return scores
        k = 1 if self.readout == "binary" else self.k
        values, regions = torch.topk(scores, k, dim=-1)
        values = torch.ones_like(values) if self.readout == "binary" else values.relu()
        return torch.zeros_like(scores).scatter_(-1, regions, values)

    def decode(self, features: torch.Tensor) -> torch.Tensor:
        """Return the activations f B + c (..., d) of features f (..., K)."""
        return features @ self.W_dec + self.b_dec

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return decode(encode(x))."""
        return self.decode(self.encode(x))

    def check_decoder_norms(self) -> bool:
        """Return whether the rows of the decoder have unit length, as SAEBench requires."""
        norms = self.W_dec.norm(dim=1)
        return bool(
            torch.allclose(
                norms, torch.ones_like(norms), atol=1e-5 if self.dtype == torch.float32 else 1e-2
            )
        )
