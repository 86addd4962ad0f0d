"""`generate`: prompts in, texts out."""

from collections.abc import Sequence
from typing import Any

from lexitok.data.encoders import Encoder
from lexitok.inference.stream import stream


def generate(model: Any, encoder: Encoder, prompts: Sequence[bytes], **settings: Any) -> list[bytes]:
    """Goes on with each prompt, as `stream` does, which says all there is to say of it.

    Args:
      model, encoder, prompts: of `stream`.
      **settings: the other arguments of `stream`, `max_bytes` among them.

    Returns:
      The new bytes for each prompt, without the prompt.

    Raises: what `stream` raises.
    """
    texts = [bytearray() for _ in prompts]
    for row, new in stream(model, encoder, prompts, **settings):
        texts[row] += new
    return [bytes(text) for text in texts]
