"""Word vectors of byte-unit models: what the pool makes of a word's bytes, and which words are close to each other.

A causal encoder (HAT v2) has read what stands before the word, within its window: its vectors are of a word in a
context. The bidirectional encoder of one unit (HAT v1) sees the word alone, and the context makes no difference.
"""

import collections
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lexitok.data.batch import Batch
from lexitok.data.encoders import ByteUnitEncoder, Encoder
from lexitok.data.layout import Piece, make_piece
from lexitok.data.placement import put_batch
from lexitok.data.rows import pack_rows
from lexitok.sharding import put_rows

ROWS = 64  # words read at once


def unit_vectors(model: Any, encoder: Encoder, words: Sequence[bytes], context: bytes = b"") -> np.ndarray:
    """The vector of each word, read after `context`, as the backbone gets it.

    Args:
      model: a `ByteUnitLM`.
      encoder: of its documents.
      words: each one unit of the encoder's splitter.
      context: what stands before each word; ends where a unit ends.

    Returns:
      float32 `[words, D]`.

    Raises:
      ValueError: the model has no units, there are no words, or a word is not one unit; names it.
    """
    if not isinstance(encoder, ByteUnitEncoder):
        raise ValueError(f"word vectors are of models with text.kind 'byte_units', this one has '{encoder.kind}'")
    if not words:
        raise ValueError("there are no words to make vectors of")
    pieces = [_piece(encoder, word, context) for word in words]
    symbols = _ceil(max(len(piece.symbols) for piece, _ in pieces), 16)
    units = _ceil(max(piece.units for piece, _ in pieces), 8)
    out = []
    for start in range(0, len(pieces), ROWS):
        rows = pieces[start : start + ROWS]
        filled = [[piece] for piece, _ in rows] + [[]] * (ROWS - len(rows))
        batch = pack_rows(filled, symbols=symbols, units=units, pad=encoder.vocabulary.pad)
        index = np.array([unit for _, unit in rows] + [0] * (ROWS - len(rows)), np.int32)
        out.append(jax.device_get(_vectors(model, put_batch(batch), put_rows(index)))[: len(rows)])
    return np.concatenate(out)


def neighbours(vectors: np.ndarray, words: Sequence[bytes], query: bytes, k: int = 8) -> list[tuple[bytes, float]]:
    """The `k` words whose vectors are closest to that of `query` by cosine, closest first, without itself.

    The mean of all vectors is taken off first: it is a large part of each, and would make all of them look alike
    (arXiv 1702.01417).

    Args:
      vectors: `[words, D]`.
      words: one for each vector.

    Raises:
      ValueError: `query` is not among the words.
    """
    if query not in words:
        raise ValueError(f"no vector of {query!r}: it is not among the {len(words)} words; make one with unit_vectors")
    centred = vectors - vectors.mean(axis=0)
    directions = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-30)
    cosines = directions @ directions[list(words).index(query)]
    order = [i for i in np.argsort(-cosines, kind="stable") if words[i] != query]
    return [(words[i], float(cosines[i])) for i in order[:k]]


def neighbour_table(vectors: np.ndarray, words: Sequence[bytes], queries: Sequence[bytes], k: int = 6) -> str:
    """A Markdown table: a line for each query, with its neighbours and their cosines."""
    lines = ["| word | " + " | ".join(f"{i + 1}" for i in range(k)) + " |", "|---" * (k + 1) + "|"]
    for query in queries:
        found = neighbours(vectors, words, query, k)
        cells = [f"{_show(word)} {cosine:.2f}" for word, cosine in found] + [""] * (k - len(found))
        lines.append(f"| **{_show(query)}** | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def frequent_units(encoder: Encoder, documents: Iterable[bytes], count: int) -> list[bytes]:
    """The most frequent units that hold a letter or any byte beyond ASCII, most frequent first.

    Raises:
      ValueError: the encoder has no units.
    """
    if not isinstance(encoder, ByteUnitEncoder):
        raise ValueError(f"units are of models with text.kind 'byte_units', this one has '{encoder.kind}'")
    if encoder.splitter is None:
        raise ValueError("this model finds its units itself: no splitter says which there are")
    seen: collections.Counter[bytes] = collections.Counter()
    for data in documents:
        ends = encoder.splitter.split(data).ends().tolist()
        seen.update(data[a:b] for a, b in zip([0, *ends], ends, strict=False))
    return [word for word, _ in seen.most_common() if any(chr(b).isalpha() or b > 127 for b in word)][:count]


def _piece(encoder: ByteUnitEncoder, word: bytes, context: bytes) -> tuple[Piece, int]:
    """The word as a document, and the index of its unit."""
    document = encoder.encode(context + word, source=repr(word))
    piece = make_piece(document, 0, len(document))
    # The unit that the input position of each raw byte is pooled into: input t + 1 is target t.
    at_byte = piece.unit_of[1 + np.flatnonzero(document.nbytes[:-1])]
    own = at_byte[len(context) :]
    alone = not context or own[0] != at_byte[len(context) - 1]
    if not len(own) or own[0] != own[-1] or not alone:
        raise ValueError(f"{word!r} after {context!r} is not one unit of this model's splitter")
    return piece, int(own[0])


@jax.jit
def _vectors(model: Any, batch: Batch, index_B: Int[Array, " B"]) -> Float[Array, "B D"]:
    units = model.features(batch)["vectors"].astype(jnp.float32)
    return jnp.take_along_axis(units, index_B[:, None, None], axis=1)[:, 0]


def _show(word: bytes) -> str:
    text = word.decode("utf-8", errors="backslashreplace")
    return "`" + text.replace("\n", "↵").replace("\t", "⇥").replace("`", "'").replace("|", "\\|") + "`"


def _ceil(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple
