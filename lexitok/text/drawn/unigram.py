"""A Unigram tokenizer from tokens and their log-probabilities: made in milliseconds, exact for any bytes."""

import json
from collections.abc import Sequence

import numpy as np
import tokenizers
from jaxtyping import Float64
from tokenizers import decoders, models, pre_tokenizers

from lexitok.text.drawn.words import text_and_invalid, word_splitter
from lexitok.text.hugging_face_tokenizer import HuggingFaceTokenizer
from lexitok.text.padded_tokenizer import PaddedTokenizer
from lexitok.text.patterns import GPT2_MARKS
from lexitok.text.token_bytes import byte_level_alphabet
from lexitok.text.vocabulary import Encoding, Vocabulary

# Ids 0, 1, 2. ByteLevel spells no token with such brackets, so none can be spelled like them, as `<pad>` might be.
SPECIALS = {"bos": "⟨bos⟩", "eos": "⟨eos⟩", "pad": "⟨pad⟩"}
_GRAIN = 2.0**-12
_BYTE_LEVEL = {byte: character for character, byte in byte_level_alphabet().items()}  # for `str.translate`


class UnigramTokenizer:
    """Text is cut into words, and each word into the tokens whose log-probabilities have the greatest sum.

    The library `tokenizers` looks for them (Viterbi's algorithm; Kudo, arXiv 1804.10959), and of equal sums takes the
    one whose last token is the longest, then the last but one. All 256 bytes are tokens, so that any bytes come back as
    they were. Log-probabilities are rounded to multiples of 2^-12: their sums are exact, so sums that should be equal
    are, and a file has few enough digits for every reader to find the same numbers.

    Attributes:
      vocabulary: `bos`, `eot` and `pad`, then the tokens in their order, then ids that are never used, up to a size.
      log_probabilities: of the tokens, which are the ids from 3 on; rounded.
      pattern: cuts text into words.
    """

    def __init__(
        self,
        tokens: Sequence[bytes],
        log_probabilities: Float64[np.ndarray, "tokens"],
        *,
        size: int | None = None,
        pattern: str = GPT2_MARKS,
    ):
        """Takes the parts.

        Args:
          tokens: their bytes.
          log_probabilities: of the tokens, natural logarithms; they need not be normalised.
          size: ids in all; without it, as many as there are tokens and specials.
          pattern: cuts text into words.

        Raises:
          ValueError: a token is empty or there twice, a single byte is none, a log-probability is no finite number,
            `size` is too small, or the pattern is no regular expression.
        """
        _check(tokens, log_probabilities)
        table = (*(b"" for _ in SPECIALS), *tokens)
        names = dict(enumerate(SPECIALS.values()))
        exact = Vocabulary(table, frozenset(names), bos=0, eot=1, pad=2, names=names)
        self.vocabulary = exact if size is None else exact.padded(size)
        self.log_probabilities: np.ndarray = np.rint(log_probabilities / _GRAIN) * _GRAIN
        self.pattern = pattern
        self._tokens = tuple(tokens)
        ids = {token: i for i, token in enumerate(table) if len(token) == 1}
        self._byte_ids = np.array([ids[bytes([byte])] for byte in range(256)], np.int32)
        self._library = self._build()

    def __reduce__(self):
        return _again, (self._tokens, self.log_probabilities, self.vocabulary.size, self.pattern)

    def encode(self, data: bytes) -> Encoding:
        """The tokens of any bytes, without `bos` and `eot`. What spells a special is text."""
        parts = text_and_invalid(data)
        ids = np.concatenate([self._bytes(part) if odd % 2 else self._text(part) for odd, part in enumerate(parts)])
        return Encoding(ids, self.vocabulary.lengths[ids], lossy=False)

    def batch_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """See `lexitok.text.vocabulary.BatchTokenizer`."""
        found = self._library.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in found]

    def tokenizer_json(self) -> bytes:
        """The same tokenizer as Hugging Face's libraries read it, without the ids that are never used."""
        content = json.loads(self._library.to_str())
        flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        added = enumerate(SPECIALS.values())
        content["added_tokens"] = [{"id": i, "content": name, "special": True, **flags} for i, name in added]
        return json.dumps(content).encode()

    def to_bytes(self) -> bytes:
        """The whole tokenizer; `lexitok.text.tokenizer_files.tokenizer_from_bytes` reads it, as Hugging Face's."""
        written = HuggingFaceTokenizer(self.tokenizer_json(), roles=SPECIALS)
        more = self.vocabulary.size > written.vocabulary.size
        return (PaddedTokenizer(written, self.vocabulary.size) if more else written).to_bytes()

    def _build(self) -> tokenizers.Tokenizer:
        spelled = [*SPECIALS.values(), *_byte_level(self._tokens)]
        scores = [0.0] * len(SPECIALS) + self.log_probabilities.tolist()
        built = tokenizers.Tokenizer(models.Unigram(list(zip(spelled, scores, strict=True)), None, False))
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        built.pre_tokenizer = pre_tokenizers.Sequence([word_splitter(self.pattern), byte_level])
        built.decoder = decoders.ByteLevel()
        return built

    def _text(self, text: str) -> np.ndarray:
        # The fast one does not look for the places of tokens in the text.
        return np.array(self._library.encode_batch_fast([text], add_special_tokens=False)[0].ids, np.int32)

    def _bytes(self, part: str) -> np.ndarray:
        return self._byte_ids[np.frombuffer(part.encode("utf-8", "surrogateescape"), np.uint8)]


def _again(tokens: Sequence[bytes], log_probabilities: np.ndarray, size: int, pattern: str) -> UnigramTokenizer:
    return UnigramTokenizer(tokens, log_probabilities, size=size, pattern=pattern)


def _byte_level(tokens: Sequence[bytes]) -> list[str]:
    """The tokens as ByteLevel vocabularies spell them: all at once, one character a byte."""
    flat = b"".join(tokens).decode("latin-1").translate(_BYTE_LEVEL)
    ends = np.cumsum(np.fromiter(map(len, tokens), np.int64, len(tokens))).tolist()
    return [flat[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def _check(tokens: Sequence[bytes], log_probabilities: np.ndarray) -> None:
    if len(tokens) != len(log_probabilities):
        raise ValueError(f"{len(tokens)} tokens have {len(log_probabilities)} log-probabilities")
    bad = np.flatnonzero(~np.isfinite(log_probabilities))
    if len(bad):
        at = int(bad[0])
        raise ValueError(f"the log-probability of {tokens[at]!r} is {log_probabilities[at]}; it must be finite")
    known = set(tokens)
    if b"" in known:
        raise ValueError(f"token {list(tokens).index(b'')} is empty; specials are no tokens here")
    if len(known) < len(tokens):
        twice = next(token for i, token in enumerate(tokens) if token in tokens[:i])
        raise ValueError(f"the token {twice!r} is there twice")
    missing = bytes(byte for byte in range(256) if bytes([byte]) not in known)
    if missing:
        raise ValueError(
            f"{len(missing)} of the 256 single bytes are no tokens, the first are {missing[:8].hex(' ')}; text that "
            "holds them could not be encoded"
        )
