"""Vectors of a vocabulary's tokens: those of the same spelling, or the means of those of the words that they are in."""

import numpy as np
import scipy.sparse
from jaxtyping import Float

from lexitok.text.parts import Speller
from lexitok.text.token_bytes import SPACE, byte_level_spelling
from lexitok.text.vocabulary import Tokenizer, Vocabulary
from lexitok.transfer.errors import TransferError
from lexitok.transfer.vectors.word_vectors import WordVectors


def spelled_vectors(vectors: WordVectors, vocabulary: Vocabulary) -> Float[np.ndarray, "V A"]:
    """float32: of each token the vector of its spelling, zeros where there is none.

    Tokens are spelled as ByteLevel vocabularies spell them (`Ġthe`) or as SentencePiece does (`▁the`), whichever finds
    more of them.

    Raises:
      TransferError: no token is among the words.
    """
    row = {word: i for i, word in enumerate(vectors.words)}
    ways = (
        lambda token: row.get(byte_level_spelling(token)),
        lambda token: row.get(token.decode(errors="surrogateescape").replace(" ", SPACE)),
    )
    found = [{i: at for i, t in enumerate(vocabulary.token_bytes) if t and (at := way(t)) is not None} for way in ways]
    best = max(found, key=len)
    if not best:
        some = ", ".join(map(repr, vectors.words[:5]))
        raise TransferError(f"no token of the vocabulary is among the {len(vectors.words)} words with vectors: {some}")
    out = np.zeros((vocabulary.size, vectors.rows_WxA.shape[1]), np.float32)
    out[list(best)] = vectors.rows_WxA[list(best.values())]
    return out


def vectors_by_words(vectors: WordVectors, tokenizer: Tokenizer) -> Float[np.ndarray, "V A"]:
    """float32: of each token the mean of the vectors of words that are made with it, by how often these come up.

    Words count with a space before them and without (WECHSEL, arXiv 2112.06598, section 3.2, for word vectors without
    vectors of parts). Tokens that are in no word have zeros.

    Raises:
      MatchError: the tokenizer cannot spell one of the words.
    """
    speller = Speller(tokenizer)
    forms = [(w, form) for w, word in enumerate(vectors.words) for form in (word, " " + word)]
    parts = [speller.parts(form.encode()) for _, form in forms]
    word = np.repeat([w for w, _ in forms], list(map(len, parts)))
    token = np.concatenate([*parts, np.zeros(0, np.int32)])
    shape = (tokenizer.vocabulary.size, len(vectors.words))
    counts = scipy.sparse.coo_array((vectors.counts_W[word], (token, word)), shape=shape).tocsr()
    total = np.asarray(counts.sum(axis=1))[:, None]
    means = counts @ vectors.rows_WxA.astype(np.float64)
    return np.divide(means, total, out=np.zeros_like(means), where=total > 0).astype(np.float32)
