"""Routers: splitters that are part of the model. A new one is a file and a line in `ROUTERS`.

A router says after which positions units end, over packed rows (a call) and position by position (`empty`, `extend`).
It decides at a position by what has been read up to it, so that the position itself sees the unit that ends there: the
boundary rule is `revealed`. The first position of a piece is always a unit.
"""

from lexitok.models.routers.boundaries import Boundaries
from lexitok.models.routers.cosine import CosineRouter
from lexitok.models.routers.distilled import DistilledRouter
from lexitok.models.routers.entropy import EntropyRouter
from lexitok.models.routers.stride import StrideRouter

ROUTERS = {"cosine": CosineRouter, "entropy": EntropyRouter, "stride": StrideRouter}

__all__ = ["ROUTERS", "Boundaries", "CosineRouter", "DistilledRouter", "EntropyRouter", "StrideRouter"]
