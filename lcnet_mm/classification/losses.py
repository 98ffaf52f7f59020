"""The loss of SSLD and of deep mutual learning."""

from __future__ import annotations

from mmpretrain.registry import MODELS
from torch import Tensor, nn

# Added to both probabilities before the logarithm, as in PaddleClas.
_EPSILON = 1e-12


@MODELS.register_module()
class SymmetricKLLoss(nn.Module):
    """Half the sum of the two Kullback-Leibler divergences between the probabilities of two classifiers.

    ``mean over the batch of 1/2 * sum over the classes of (t * ln(t / s) + s * ln(s / t))`` with ``t`` and ``s`` the
    softmax of the teacher's and the student's logits at temperature 1. PaddleClas's documentation calls it JS
    divergence, which is a different one. Source: PaddleClas ``ppcls/loss/dmlloss.py``.

    Args:
        loss_weight: Factor of the loss.

    Shapes:
        two logits ``(N, classes)`` to a scalar.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Compute the loss; the gradient flows to both logits."""
        # In float32 even under autocast: the epsilon vanishes in half precision.
        s, t = student.float().softmax(1), teacher.float().softmax(1)
        divergence = (t - s) * ((t + _EPSILON).log() - (s + _EPSILON).log())
        return self.loss_weight * 0.5 * divergence.sum(1).mean()
