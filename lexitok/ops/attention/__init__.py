"""Attention over packed rows."""

from lexitok.ops.attention.api import IMPLEMENTATIONS, Positions, attention

__all__ = ["IMPLEMENTATIONS", "Positions", "attention"]
