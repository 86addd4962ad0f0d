"""Where fixed parameters come from."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Origin:
    """A part of a model of a run that is fixed, and is kept by where it is from.

    Attributes:
      at: the part, by its dotted name; empty: the whole.
      run: directory of the run that it was taken from.
      part: of that run's model; empty: the whole.
      step: of the checkpoint.
      fingerprint: of the parameters (`lexitok.runs.parameters.fingerprint`), by their names here.
      of: which model here: `model`, the run's own, or one that is only read beside it, as `teacher`.
    """

    at: str
    run: str
    part: str
    step: int
    fingerprint: str
    of: str = "model"

    @property
    def name(self) -> str:
        """What errors call the part."""
        return self.at or "the model" if self.of == "model" else f"{self.at or 'all'} of its {self.of}"
