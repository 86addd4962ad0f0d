"""Checkpoints of a run: the `files` that they are, `reading` them anywhere, the `manager` of a run that trains."""

from lexitok.runs.checkpoints.files import RunRecord
from lexitok.runs.checkpoints.manager import Checkpoints, Restored
from lexitok.runs.checkpoints.reading import Checkpoint, read_checkpoint

__all__ = ["Checkpoint", "Checkpoints", "Restored", "RunRecord", "read_checkpoint"]
