"""Checkpoints of a run: the `files` that they are, `reading` them anywhere, the `manager` of a run that trains."""
