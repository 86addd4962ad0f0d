"""The words that merges stay within, by name: those of the tokenizer itself, of a model's pattern, or of a splitter."""

import json
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Int
from tokenizers import Tokenizer as Library
from tokenizers import pre_tokenizers

from lexitok.text import patterns
from lexitok.text.drawn.unigram import UnigramTokenizer
from lexitok.text.drawn.words import text_and_invalid, word_splitter
from lexitok.text.hugging_face_tokenizer import HuggingFaceTokenizer
from lexitok.text.merging.merges import MergeError, TokenSequence
from lexitok.text.padded_tokenizer import PaddedTokenizer
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.text.shares import byte_starts
from lexitok.text.splitters import SPLITTERS, make_splitter
from lexitok.text.tiktoken_tokenizer import TiktokenTokenizer
from lexitok.text.vocabulary import Encoding, Tokenizer

WordStarts = Callable[[bytes], Bool[np.ndarray, "n"]]
OWN = "tokenizer"
PATTERNS = {
    "gpt2": patterns.GPT2,
    "gpt2_marks": patterns.GPT2_MARKS,
    "llama3": patterns.LLAMA3,
    "qwen2": patterns.QWEN2,
}
_LONGEST = 2**20  # bytes of a splitter's units: they are not to be cut


def word_starts(name: str, tokenizer: Tokenizer) -> WordStarts:
    """A function from bytes to where words start in them.

    Args:
      name: `tokenizer`: as it cuts text before it encodes it (SentencePiece: a run of spaces begins a word); a key of
        `PATTERNS`: the words of ByteLevel models, bytes that are no UTF-8 apart; or a splitter
        (`lexitok.text.splitters`).
      tokenizer: the one that is asked for its own.

    Raises:
      MergeError: an unknown name, or a tokenizer that has no words of its own.
    """
    if name == OWN:
        return _own(tokenizer)
    if name in PATTERNS:
        return _pre_tokenized(word_splitter(PATTERNS[name]))
    if name in SPLITTERS:
        splitter = make_splitter(name, max_unit_bytes=_LONGEST)
        return lambda data: splitter.split(data).starts
    raise MergeError(f"unknown words '{name}'; there are {', '.join((OWN, *PATTERNS, *SPLITTERS))}")


def sequence_of(encoding: Encoding, starts: Bool[np.ndarray, "n"]) -> TokenSequence:
    """An encoding's tokens; one joins the one before it unless a word starts within it, or it has no raw bytes.

    What it begins with may be the end of another word: under `whitespace`, whose words end with their spaces, a token
    that begins with a space does not join, and what follows in its word joins it.

    Raises:
      MergeError: the starts are of another text.
    """
    return TokenSequence(encoding.ids, joins_of(encoding.nbytes, starts))


def joins_of(nbytes: Int[np.ndarray, "t"], starts: Bool[np.ndarray, "n"]) -> Bool[np.ndarray, "t"]:
    """As `sequence_of`, of the tokens' raw bytes."""
    ends = np.cumsum(nbytes, dtype=np.int64)
    if int(ends[-1] if len(ends) else 0) != len(starts):
        raise MergeError(f"the tokens stand for {ends[-1] if len(ends) else 0} bytes, and words start in {len(starts)}")
    before = np.append(0, np.cumsum(starts, dtype=np.int64))  # words that start before each byte
    return (nbytes > 0) & (before[ends] == before[ends - nbytes])


def _own(tokenizer: Tokenizer) -> WordStarts:
    match tokenizer:
        case PaddedTokenizer():
            return _own(tokenizer.tokenizer)
        case UnigramTokenizer() | TiktokenTokenizer():
            return _pre_tokenized(word_splitter(tokenizer.pattern))
        case SentencePieceTokenizer():
            return _after_spaces
        case HuggingFaceTokenizer():
            return _of_library(tokenizer)
    raise MergeError(f"a {type(tokenizer).__name__} has no words of its own: name a pattern or a splitter")


def _of_library(tokenizer: HuggingFaceTokenizer) -> WordStarts:
    library = Library.from_str(json.dumps(json.loads(tokenizer.tokenizer_json)))
    cut, normalizer = library.pre_tokenizer, library.normalizer
    if cut is None:
        raise MergeError("this tokenizer does not cut text into words before it merges: name a pattern or a splitter")
    found = _pre_tokenized(cut)
    if normalizer is None:
        return found

    def unchanged(data: bytes) -> Bool[np.ndarray, "n"]:
        for text in text_and_invalid(data)[::2]:
            if normalizer.normalize_str(text) != text:
                raise MergeError(
                    f"the tokenizer changes this text of {len(data)} bytes, which begins {data[:40]!r}, before it cuts "
                    "it into words: name a pattern or a splitter"
                )
        return found(data)

    return unchanged


def _pre_tokenized(cut: pre_tokenizers.PreTokenizer) -> WordStarts:
    def starts(data: bytes) -> Bool[np.ndarray, "n"]:
        found, at = np.zeros(len(data) + 1, bool), 0
        for odd, text in enumerate(text_and_invalid(data)):
            begins = byte_starts(text)
            words = [0] if odd % 2 else [begin for _, (begin, _) in cut.pre_tokenize_str(text)]
            found[at + begins[words]] = True
            at += int(begins[-1])
        return found[:-1]

    return starts


def _after_spaces(data: bytes) -> Bool[np.ndarray, "n"]:
    space = np.frombuffer(data, np.uint8) == ord(" ")
    starts = space & ~np.append(False, space[:-1])[: len(space)]
    starts[:1] = True
    return starts
