"""Attention over packed rows."""

from lexitok.ops.attention.api import IMPLEMENTATIONS, Places, attention

__all__ = ["IMPLEMENTATIONS", "Places", "attention"]
