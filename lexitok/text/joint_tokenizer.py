"""Several tokenizers whose ids stand one behind the other, for models that speak with more than one (Hydra)."""

import base64
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from lexitok.text.vocabulary import TOKENIZER_FORMAT, Encoding, Tokenizer, Vocabulary

KIND = "joint"


class JointTokenizer:
    """A tokenizer of each part; a text is encoded by the one that speaks.

    Attributes:
      parts: the tokenizers, by name, in the order of their ids, which is that of the names.
      speaker: the name of the one that encodes.
      vocabulary: the ids of all of them; its frames (`bos`, `eot`, `pad`) and roles are the speaker's, and specials are
        spelled `PART/NAME`.
    """

    def __init__(self, parts: Mapping[str, Tokenizer], speaker: str = ""):
        """Args: tokenizers by name, and the one that encodes; empty: the first of them.

        Raises:
          ValueError: there is none; one of them is joint itself; or none of them has the speaker's name.
        """
        self.parts = dict(sorted(parts.items()))
        if not self.parts:
            raise ValueError("a joint tokenizer has one part at least")
        joint = [name for name, part in self.parts.items() if isinstance(part, JointTokenizer)]
        if joint:
            raise ValueError(f"the part '{joint[0]}' is a joint tokenizer itself: name its parts")
        self.speaker = speaker or next(iter(parts))
        if self.speaker not in self.parts:
            raise ValueError(f"no part '{self.speaker}'; there are {', '.join(self.parts)}")
        self.vocabulary = _joined(self.parts, self.starts, self.speaker)

    @property
    def starts(self) -> dict[str, int]:
        """The first id of each part."""
        sizes = [part.vocabulary.size for part in self.parts.values()]
        return dict(zip(self.parts, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))

    def speaking(self, name: str) -> "JointTokenizer":
        """The same ids, with another part that encodes. Raises ValueError if there is no such part."""
        return JointTokenizer(self.parts, name)

    def encode(self, data: bytes) -> Encoding:
        """The speaker's tokens of any bytes, by their joint ids; without `bos` and `eot`."""
        found = self.parts[self.speaker].encode(data)
        return dataclasses.replace(found, ids=found.ids + np.int32(self.starts[self.speaker]))

    def to_bytes(self) -> bytes:
        """All of them, as text (JSON)."""
        parts = [[name, base64.b64encode(part.to_bytes()).decode()] for name, part in self.parts.items()]
        return json.dumps({"format": TOKENIZER_FORMAT, "kind": KIND, "speaker": self.speaker, "parts": parts}).encode()


def ends_of(tokenizer: Any, vocabulary: Vocabulary) -> tuple[int, ...]:
    """The ids that end documents: one for each part of a joint tokenizer, and `eot` of any other."""
    if not isinstance(tokenizer, JointTokenizer):
        return (vocabulary.eot,)
    return tuple(tokenizer.starts[name] + part.vocabulary.eot for name, part in tokenizer.parts.items())


def _joined(parts: Mapping[str, Tokenizer], starts: Mapping[str, int], speaker: str) -> Vocabulary:
    tokens: list[bytes] = []
    specials: set[int] = set()
    names: dict[int, str] = {}
    for name, part in parts.items():
        vocabulary, start = part.vocabulary, starts[name]
        tokens += vocabulary.token_bytes
        specials |= {start + i for i in vocabulary.specials}
        names |= {start + i: f"{name}/{spelling}" for i, spelling in vocabulary.names.items()}
    own, start = parts[speaker].vocabulary, starts[speaker]
    frame = {"bos": start + own.bos, "eot": start + own.eot, "pad": start + own.pad}
    roles = {role: start + i for role, i in own.roles.items()}
    return Vocabulary(tuple(tokens), frozenset(specials), **frame, names=names, roles=roles)
