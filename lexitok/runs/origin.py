"""Where fixed parameters come from."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Origin:
    """A part of a run's model that is fixed, and is kept by where it is from.

    Attributes:
      at: the part, by its dotted name.
      run: directory of the run that it was taken from.
      part: of that run's model; empty: the whole.
      step: of the checkpoint.
      fingerprint: of the parameters (`lexitok.runs.parameters.fingerprint`), by their names here.
    """

    at: str
    run: str
    part: str
    step: int
    fingerprint: str
