"""Sparse combinations of atoms: orthogonal matching pursuit and its kin, for many targets at once."""

from lexitok.ops.matching_pursuit.api import IMPLEMENTATIONS, MatchingPursuitError, matching_pursuit
from lexitok.ops.matching_pursuit.pursuit import SELECT, Pursuit

__all__ = ["IMPLEMENTATIONS", "SELECT", "MatchingPursuitError", "Pursuit", "matching_pursuit"]
