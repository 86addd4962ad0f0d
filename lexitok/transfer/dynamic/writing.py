"""Prompts that are read in merged tokens, and texts that are written in plain ones or in merged ones too."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from lexitok.data.encoders import SubwordEncoder
from lexitok.inference.generate import generate
from lexitok.interfaces.extended import ExtraRows, extended
from lexitok.text.merging.merges import Merges, find_merges
from lexitok.text.merging.tokenizer import MergedTokenizer
from lexitok.text.merging.words import sequence_of, word_starts
from lexitok.text.vocabulary import Tokenizer, Vocabulary
from lexitok.transfer.dynamic.rows import RowMaker


@dataclasses.dataclass(frozen=True)
class PromptEncoder(SubwordEncoder):
    """Texts as merged tokens that are read and never written: its vocabulary is what is predicted.

    Attributes:
      written: the vocabulary without merged tokens.
    """

    written: Vocabulary

    @property
    def vocabulary(self) -> Vocabulary:
        return self.written


def merges_of(texts: Sequence[bytes], tokenizer: Tokenizer, words: str, *, merges: int, least: int = 1) -> Merges:
    """The commonest merges of texts: of prompts, or of a corpus whose frequent words are to be tokens.

    Args:
      texts: any bytes.
      tokenizer: whose tokens are merged.
      words: that merges stay within (`lexitok.text.merging.words`).
      merges, least: as of `find_merges`.

    Raises:
      MergeError: as `word_starts` and `find_merges`.
    """
    starts = word_starts(words, tokenizer)
    sequences = [sequence_of(tokenizer.encode(text), starts(text)) for text in texts]
    return find_merges(sequences, tokenizer.vocabulary, merges=merges, least=least)[0]


def with_merges(
    model: Any, encoder: SubwordEncoder, merges: Merges, maker: RowMaker, *, reach: str, words: str
) -> tuple[Any, SubwordEncoder]:
    """A model and an encoder with merged tokens, for `lexitok.inference`, `lexitok.evals` and whatever takes both.

    By `enter` the encoder's texts are prompts: what the model predicts, and writes, is in the vocabulary as it was. By
    `enter_and_leave` merged tokens are part of the vocabulary, and the softmax is over all of it, exactly: each costs a
    product with one row more. The published method, with a million of them, looks for the nearest rows approximately;
    for those that a corpus or a prompt has often, as many as a vocabulary has ids, there is no need to.

    Args:
      model, encoder: of a subword model; the model's arrays are shared.
      merges: of its vocabulary.
      maker: makes rows of merged tokens, for this model.
      reach: `enter` or `enter_and_leave`.
      words: that merges stay within.

    Raises:
      MergeError: the merges are of another vocabulary.
      ValueError: an unknown reach.
    """
    merged = MergedTokenizer(encoder.tokenizer, merges, words)
    rows = None
    if merges.tokens:
        made = maker([token.data for token in merges.tokens])
        rows = ExtraRows(made.entering_nxD, made.leaving_nxD, np.asarray(len(merges.tokens), np.int32))
    longer = extended(model, reach, rows)
    return longer, PromptEncoder(merged, encoder.vocabulary) if reach == "enter" else SubwordEncoder(merged)


def generate_dynamic(
    model: Any,
    encoder: SubwordEncoder,
    prompts: Sequence[bytes],
    maker: RowMaker,
    *,
    merges: int,
    reach: str = "enter",
    words: str = "tokenizer",
    **settings: Any,
) -> list[bytes]:
    """Goes on with each prompt, which is read in tokens that are merged from the prompts' own.

    Args:
      model, encoder: of a subword model.
      prompts: any bytes. Merges are those of all prompts together.
      maker: makes rows of merged tokens, for this model.
      merges: how many, at most.
      reach, words: as of `with_merges`.
      **settings: of `lexitok.inference.generate.generate`.

    Returns:
      The new bytes for each prompt.

    Raises: as `with_merges`, and what `generate` raises.
    """
    found = merges_of(prompts, encoder.tokenizer, words, merges=merges)
    return generate(*with_merges(model, encoder, found, maker, reach=reach, words=words), prompts, **settings)
