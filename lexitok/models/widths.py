"""How wide a part of a hierarchy is."""

from ml_collections import ConfigDict


def width(c: ConfigDict) -> int:
    """Of the vectors that go into and come out of a stack, or of a stage, which has its encoder's."""
    return width(c.encoder) if c.kind == "stage" else c.D
