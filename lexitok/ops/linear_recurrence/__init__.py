"""The recurrence of Mamba-2 and mLSTM, over packed rows."""

from lexitok.ops.linear_recurrence.api import IMPLEMENTATIONS, linear_recurrence

__all__ = ["IMPLEMENTATIONS", "linear_recurrence"]
