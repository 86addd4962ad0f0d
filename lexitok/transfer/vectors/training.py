"""Vectors trained on text by fastText, as the library gensim has it (`lexitok[vectors]`).

One thread, one seed: the same text gives the same vectors.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from lexitok.text.token_bytes import byte_level_spelling
from lexitok.text.vocabulary import Tokenizer
from lexitok.text.words import words_of
from lexitok.transfer.errors import TransferError
from lexitok.transfer.vectors.word_vectors import WordVectors

_LONGEST = 10_000  # words that gensim reads of a sentence; it drops what is behind


def train_token_vectors(
    documents: Iterable[bytes], tokenizers: Sequence[Tokenizer], **settings: Any
) -> list[Float[np.ndarray, "_ A"]]:
    """float32, vectors of the tokens of each tokenizer, all in one space; zeros for those that come up too seldom.

    Every document is read as the tokens of each tokenizer in turn, with tokens of the same bytes as the same word. With
    the target's tokenizer alone these are the vectors of FOCUS (arXiv 2305.14481, section 3).

    Args:
      documents: the text.
      tokenizers: whose tokens get vectors.
      **settings: of `_fast_text`.

    Raises:
      TransferError: as `_fast_text`.
    """
    spelled = [_spellings(tokenizer) for tokenizer in tokenizers]
    encoded = (
        (tokenizer.encode(document).ids, spellings)
        for document in documents
        for tokenizer, spellings in zip(tokenizers, spelled, strict=True)
    )
    sentences = ([spellings[i] for i in ids.tolist() if spellings[i]] for ids, spellings in encoded)
    found = _fast_text(sentences, **settings)
    row = {word: i for i, word in enumerate(found.words)}
    out = []
    for spellings in spelled:
        vectors = np.zeros((len(spellings), found.rows_WxA.shape[1]), np.float32)
        known = [(i, row[spelling]) for i, spelling in enumerate(spellings) if spelling in row]
        vectors[[i for i, _ in known]] = found.rows_WxA[[at for _, at in known]]
        out.append(vectors)
    return out


def train_word_vectors(documents: Iterable[bytes], **settings: Any) -> WordVectors:
    """Vectors of the words of a text (`lexitok.text.words`), without spaces; what is not UTF-8 is left out.

    Args:
      documents: the text.
      **settings: of `_fast_text`.

    Raises:
      TransferError: as `_fast_text`.
    """
    texts = (document.decode(errors="ignore") for document in documents)
    return _fast_text(([word.strip() for word in words_of(text)] for text in texts), **settings)


def _spellings(tokenizer: Tokenizer) -> list[str]:
    return [byte_level_spelling(token) for token in tokenizer.vocabulary.token_bytes]


def _fast_text(
    sentences: Iterable[list[str]],
    *,
    A: int = 100,
    window: int = 5,
    epochs: int = 3,
    least: int = 10,
    negative: int = 10,
    buckets: int = 200_000,
    seed: int = 0,
) -> WordVectors:
    """Continuous bag of words with vectors of 3 to 6 characters (Bojanowski et al. 2017).

    Args:
      sentences: words in a row; they are all held in memory.
      A: width.
      window: words on each side.
      epochs: passes.
      least: how often a word has to come up.
      negative: words that are drawn against each.
      buckets: vectors that those of characters share.
      seed: of what begins at random, and is drawn.

    Raises:
      TransferError: gensim is not there, settings that mean nothing, or no word comes up so often.
    """
    try:
        from gensim.models import FastText
    except ImportError as error:
        raise TransferError("gensim, which trains vectors, is missing: pip install 'lexitok[vectors]'") from error
    if min(A, window, epochs, least, buckets) < 1 or negative < 1:
        raise TransferError(f"vectors cannot be trained with {A=}, {window=}, {epochs=}, {least=}, {negative=}")
    read = [part for sentence in sentences for part in _cut(sentence)]
    how: dict[str, Any] = {"vector_size": A, "window": window, "min_count": least, "negative": negative}
    model: Any = FastText(**how, bucket=buckets, sg=0, workers=1, seed=seed)
    model.build_vocab(corpus_iterable=read)
    if not len(model.wv):
        words = sum(map(len, read))
        raise TransferError(f"no word comes up {least} times among the {words} of the text: is it empty?")
    model.train(corpus_iterable=read, total_examples=len(read), epochs=epochs)
    found: list[str] = model.wv.index_to_key
    counts = np.array([model.wv.get_vecattr(word, "count") for word in found], np.float64)
    return WordVectors(tuple(found), np.array(model.wv[found], np.float32), counts)


def _cut(sentence: list[str]) -> Iterator[list[str]]:
    for at in range(0, len(sentence), _LONGEST):
        yield sentence[at : at + _LONGEST]
