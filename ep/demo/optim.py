"""Fast training on a CPU: a batched Muon optimiser, and cross-entropy without stored logits.

Both work on tensors and are independent of the demo.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch

# Coefficients of Muon's quintic Newton-Schulz iteration (Jordan et al. 2024). With them small
# singular values grow fast, at the price of ending in an interval around 1 instead of at 1.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_ROUNDS = 5


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """Matrices (m, r, c) with the same singular vectors and all singular values near 1.

    The dtype of the matrices is kept.
    """
    wide = matrices.shape[1] <= matrices.shape[2]
    x = matrices if wide else matrices.transpose(1, 2)
    # The iteration needs singular values of at most 1: the Frobenius norm bounds the largest.
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(_ROUNDS):
        gram = x @ x.transpose(1, 2)
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    return x if wide else x.transpose(1, 2)


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum, which orthogonalises all matrices of one shape in one batch.

    params: the parameters, all of them matrices.
    lr: learning rate. An update has a root mean square of 0.2 · lr, about that of AdamW (Liu et al.
        2025).
    momentum: decay of the running mean of the gradients, in [0, 1).
    weight_decay: decoupled weight decay, multiplied by lr.
    """

    def __init__(
        self,
        params: Iterable[torch.Tensor],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.05,
    ):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Update every matrix that has a gradient. closure: not supported."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[torch.Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[parameter.shape].append(parameter)
            for shape, matrices in by_shape.items():
                updates = orthogonal(
                    torch.stack([self._momentum(p, group["momentum"]) for p in matrices])
                )
                # An orthogonal (r, c) matrix has a root mean square of max(r, c) ** -0.5.
                size = 0.2 * max(shape) ** 0.5 * group["lr"]
                for parameter, update in zip(matrices, updates, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(
                        update, alpha=-size
                    )

    def _momentum(self, parameter: torch.Tensor, momentum: float) -> torch.Tensor:
        """The gradient's Nesterov mean, after its running mean is updated."""
        state = self.state[parameter]
        if not state:
            state["running"] = torch.zeros_like(parameter)
        state["running"].lerp_(parameter.grad, 1 - momentum)
        return parameter.grad.lerp(state["running"], momentum)


class CappedCrossEntropy(torch.autograd.Function):
    """Mean cross-entropy, in nats, of softly capped logits cap · tanh(hidden · weightᵀ / cap).

    hidden: (n, d) final states. weight: (v, d) unembedding. targets: (n,) token ids. cap: the cap.

    The gradients are computed in the forward pass, 256 rows at a time, so that the (n, v) logits
    are never stored as a whole.
    """

    @staticmethod
    def forward(
        ctx, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, cap: float
    ) -> torch.Tensor:
        hidden = hidden.float()
        total = hidden.new_zeros(())
        grad_hidden, grad_weight = torch.empty_like(hidden), torch.zeros_like(weight)
        weight16 = weight.bfloat16()
        for rows in torch.arange(len(hidden)).split(256):
            part = slice(int(rows[0]), int(rows[-1]) + 1)
            # tanh(x) = 1 - 2 / (exp(2x) + 1), in place: several times faster than torch.tanh here.
            logits = (hidden[part].bfloat16() @ weight16.T).float()
            tanh = logits.mul_(2 / cap).exp_().add_(1).reciprocal_().mul_(-2).add_(1)
            logs = torch.log_softmax(tanh * cap, dim=-1)
            target = targets[part, None]
            total -= logs.gather(1, target).sum()
            # Gradient of the mean loss with respect to the logits before the cap: the probabilities
            # less 1 at the target, times the derivative 1 - tanh² of the cap.
            slope = logs.exp_()
            slope.scatter_add_(1, target, -torch.ones_like(target, dtype=slope.dtype))
            slope.mul_(tanh.square_().neg_().add_(1)).div_(len(hidden))
            slope16 = slope.bfloat16()
            grad_hidden[part] = (slope16 @ weight16).float()
            grad_weight += (slope16.T @ hidden[part].bfloat16()).float()
        ctx.save_for_backward(grad_hidden, grad_weight)
        return total / len(hidden)

    @staticmethod
    def backward(ctx, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad * grad_hidden, grad * grad_weight, None, None
