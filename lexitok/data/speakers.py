"""Which part of a tokenizer of several reads the documents of which source."""

from collections.abc import Sequence

from lexitok.data.encoders import Encoder, SubwordEncoder
from lexitok.text.joint_tokenizer import JointTokenizer


def encoders_of_sources(encoder: Encoder, parts: Sequence[str], sources: int) -> list[Encoder]:
    """The encoder of each source's documents.

    Args:
      encoder: of the run.
      parts: `data.parts`, names of parts of its tokenizer, one for each source; empty: all sources are the encoder's.
      sources: how many there are.

    Raises:
      ValueError: the tokenizer has no parts, or not these, or there are not as many names as sources.
    """
    if not parts:
        return [encoder] * sources
    tokenizer = getattr(encoder, "tokenizer", None)
    if not isinstance(tokenizer, JointTokenizer):
        raise ValueError(f"data.parts is {tuple(parts)}, and the run's tokenizer has no parts (experiments/hydra.py)")
    if len(parts) != sources:
        raise ValueError(f"data.parts names {len(parts)} parts, and data.source has {sources} sources: one for each")
    return [SubwordEncoder(tokenizer.speaking(name)) for name in parts]
