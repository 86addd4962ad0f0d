"""Cross-entropy of a linear read-out, without holding all logits."""

from lexitok.ops.linear_cross_entropy.api import IMPLEMENTATIONS, Scores, linear_cross_entropy

__all__ = ["IMPLEMENTATIONS", "Scores", "linear_cross_entropy"]
