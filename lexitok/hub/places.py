"""Where each parameter of a model lies in a checkpoint, and which axes it has there."""

import dataclasses

from lexitok.hub.axis_layouts import Layout


@dataclasses.dataclass(frozen=True)
class Place:
    """A parameter's place; `{i}` in a name stands for the layer.

    Attributes:
      parameter: its dotted name. Parameters of `backbone.layers` have a leading axis for the layers.
      name: of the tensor in Hugging Face's layout.
      layout: of this tensor.
      gguf: name of the tensor in a GGUF; empty: it has none.
      gguf_layout: of this tensor, where it is another.
      gguf_less: what a GGUF has added to the values.
    """

    parameter: str
    name: str
    layout: Layout
    gguf: str = ""
    gguf_layout: Layout | None = None
    gguf_less: float = 0.0

    @property
    def stacked(self) -> bool:
        """Whether the parameter has an axis for the layers."""
        return self.parameter.startswith("backbone.layers.")


@dataclasses.dataclass(frozen=True)
class FilePlace:
    """A place in one kind of files: name of the tensor, its layout, and what is to be subtracted."""

    parameter: str
    name: str
    layout: Layout
    less: float
    stacked: bool


def in_safetensors(place: Place) -> FilePlace:
    """The place in Hugging Face's layout."""
    return FilePlace(place.parameter, place.name, place.layout, 0.0, place.stacked)


def in_gguf(place: Place) -> FilePlace:
    """The place in a GGUF."""
    layout = place.gguf_layout or place.layout
    return FilePlace(place.parameter, place.gguf, layout, place.gguf_less, place.stacked)
