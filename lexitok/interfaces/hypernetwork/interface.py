"""The interface whose rows are made, of how tokens are spelled, by a small transformer."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int
from ml_collections import ConfigDict

from lexitok.data.spelling import Spelling
from lexitok.interfaces.bound import Bound, TableBound
from lexitok.interfaces.hypernetwork.heuristics import HEURISTICS, combined, part_weights
from lexitok.interfaces.hypernetwork.lexical import KINDS, lexical_loss
from lexitok.interfaces.hypernetwork.network import Head, Network
from lexitok.interfaces.hypernetwork.source import own_spelling, source_vocabulary
from lexitok.interfaces.table import Table
from lexitok.made import made
from lexitok.nn.dtypes import compute_dtype
from lexitok.nn.parameters import parameter
from lexitok.sharding import keep_rows_split, row_ways, whole
from lexitok.text.matching import NONE
from lexitok.text.vocabulary import Vocabulary

FORMS = ("residual", "published")
_EPS = 1e-8  # of deviations that are divided by


class MadeTables(NamedTuple):
    """The tables of a vocabulary.

    Attributes:
      entering_VxD: symbols enter with its rows, before the source's `embed_scale`; float32.
      leaving_VxD: symbols leave by its rows; None where it is the same, as in the source.
      lexical: scalar, the lexical loss, the mean of both tables'.
    """

    entering_VxD: Float[Array, "V D"] | Any
    leaving_VxD: Float[Array, "V D"] | Any
    lexical: Float[Array, ""] | Any


@dataclasses.dataclass(frozen=True)
class MadeBound(TableBound):
    """Tables that were made for a batch.

    Attributes:
      loss: scalar, the lexical loss times its weight.
    """

    loss: Float[Array, ""]


class _Tokens(NamedTuple):
    """What is known of tokens: their parts, where there are any, and which tokens the source has."""

    parts_VxP: Int[Array, "V P"]
    there_VxP: Bool[Array, "V P"]
    shared_V: Bool[Array, "V"]
    special_V: Bool[Array, "V"]


class _Side(NamedTuple):
    """A table of the source: the rows of all tokens' parts, and the moments of its own rows."""

    rows_VxPxD: Float[Array, "V P D"]
    mean_D: Float[Array, "D"]
    deviation_D: Float[Array, "D"]


class Hypernetwork(nnx.Module):
    """A token's rows, where it enters and where it leaves, from the rows of the source's tokens that spell it.

    The parts' rows, of both tables where the source has two, less their mean over the source and over their deviation
    (each element's own, fixed), go through a small transformer that sees a token's parts; a head makes of it `h`.

    `form='residual'` (tokenkit, arXiv 2503.20083): a row is `heuristic(parts) + alpha * deviation * h`. Heads begin as
    zeros, so that the model begins as the heuristic of that name (`lexitok.transfer.methods`), and for the source's own
    tokenizer as the base model. `form='published'` (ZeTT): a row is `h`, scaled so that the source's tokens have at the
    start rows of the source's mean and deviation (`lexitok.training.hypernetworks`).

    Specials that the source has keep its row. What has no parts, which is specials that it has not and ids that are
    never used, has the mean of its rows: that of zeros would have the logit 0, which may be above all others. ZeTT's
    learned rows for bytes that no token of the source has are not there: such a vocabulary cannot be spelled.

    A batch may bring a vocabulary of its own, a `lexitok.data.spelling.Spelling`; otherwise the vocabulary is that of
    the text, `made_parts`. Tables are made once for a batch, split over `data` and `fsdp` by tokens. Besides them and
    the source's, the largest arrays are the parts' rows, `V·P·D` float32 for each table (`V` 32,768, `P` 8, `D` 640:
    0.67 GB), and what the stack keeps for its gradient, `V·P` positions; its `remat` says how much that is.

    Args:
      c: made by `lexitok.config.hypernetwork`.
      V: symbols of the text.
      D: width of the vectors that enter and leave.
      vocabulary: of the text.
      rngs: for the parameters.

    Raises:
      ValueError: settings that cannot be, or a base model's tokenizer that cannot be read.
      MatchError: a vocabulary that cannot be spelled in the source's tokens.
    """

    needs = ("vocabulary",)

    def __init__(self, c: ConfigDict, V: int, D: int, vocabulary: Vocabulary | None, *, rngs: nnx.Rngs):
        _check(c)
        if vocabulary is None or vocabulary.size != V:
            there = "none" if vocabulary is None else f"one of {vocabulary.size}"
            raise ValueError(f"a hypernetwork makes rows of the {V} symbols of a vocabulary, and is given {there}")
        source, spelling = source_vocabulary(c, vocabulary), own_spelling(c, vocabulary)
        self.c, self.vocabulary_size = c, V
        self.dtype = compute_dtype(c.compute_dtype)
        self.frozen_source = Table(c.source, source.size, D, rngs=rngs)
        tied, first = self.frozen_source.head is None, "zeros" if c.form == "residual" else "drawn"
        self.network = Network(c.stack, D if tied else 2 * D, c.parts, c.languages, rngs=rngs)
        self.head_in = Head(c.stack, D, first, rngs=rngs)
        self.head_out = None if tied else Head(c.stack, D, first, rngs=rngs)
        self.made_parts, self.made_lengths = made(np.asarray(spelling.parts_VxP)), made(source.lengths)

    @property
    def own(self) -> Spelling:
        """The vocabulary of the text."""
        return Spelling(self.made_parts[...], jnp.asarray(self.c.language, jnp.int32))

    def bind(self, seeds_B: Int[Array, "B"], vocabulary: Any = None) -> Bound:
        """The interface for the rows of a batch, with the tables of its vocabulary.

        Raises:
          TypeError: the batch's vocabulary is no `Spelling`.
        """
        del seeds_B
        if vocabulary is not None and not isinstance(vocabulary, Spelling):
            raise TypeError(f"a hypernetwork reads a Spelling, and the batch has a {type(vocabulary).__name__}")
        tables = self.tables(self.own if vocabulary is None else vocabulary)
        table = self.with_rows(tables)
        return MadeBound(table.vectors, table.table_out, table.softcap, self.c.lexical.weight * tables.lexical)

    def with_rows(self, tables: MadeTables) -> Table:
        """The source's interface with other rows: its scale and cap, tied or not as it is."""
        table = jax.tree.map(lambda leaf: leaf, self.frozen_source)
        table.table = parameter("V D", tables.entering_VxD)
        if table.head is not None:
            table.head = parameter("V D", tables.leaving_VxD)
        return table

    def tables(self, spelling: Spelling) -> MadeTables:
        """The tables of a vocabulary.

        An id that the source has not, or a language that there is not, gives rows that are not numbers.
        """
        V, c = len(spelling.parts_VxP), self.c
        tokens = self._tokens(jnp.asarray(spelling.parts_VxP))
        sides = [_side(table, tokens) for table in self._source()]
        known = [(side.rows_VxPxD - side.mean_D[None, None]) / (side.deviation_D + _EPS)[None, None] for side in sides]
        known_VxPxC = jnp.concatenate(known, axis=-1).astype(self.dtype)
        h_VxE = self.network(known_VxPxC, tokens.there_VxP, jnp.asarray(spelling.language))
        rows, lexical = [], []
        heads = (self.head_in, self.head_out)
        for side, head, heuristic in zip(sides, heads, (c.heuristic_in, c.heuristic_out), strict=False):
            assert head is not None  # a source of two tables has two
            rows_VxD = self._rows(side, head(h_VxE), tokens, heuristic)
            lexical.append(lexical_loss(rows_VxD, side.rows_VxPxD[:, 0], tokens.shared_V, c.lexical.kind))
            rows.append(whole(rows_VxD)[:V])
        return MadeTables(rows[0], rows[1] if len(rows) > 1 else None, sum(lexical) / len(lexical))

    def _source(self) -> list[Float[Array, "U D"]]:
        """The source's tables, whole on every device: any token may ask for any row."""
        tables = (self.frozen_source.table, self.frozen_source.head)
        return [whole(table[...]) for table in tables if table is not None]

    def _tokens(self, parts_VxP: Int[Array, "V P"]) -> _Tokens:
        """Of a vocabulary, filled up so that the devices of the mesh can share it."""
        missing = -len(parts_VxP) % row_ways()
        parts = keep_rows_split(jnp.pad(parts_VxP, ((0, missing), (0, 0)), constant_values=NONE))
        there = parts != NONE
        alone = jnp.sum(there, axis=1, dtype=jnp.int32) == 1
        text = self.made_lengths[...][jnp.maximum(parts[:, 0], 0)] > 0
        return _Tokens(parts, there, alone & text, alone & ~text)

    def _rows(self, side: _Side, h_VxD: Float[Array, "V D"], tokens: _Tokens, heuristic: str) -> Float[Array, "V D"]:
        rows = h_VxD
        if self.c.form == "residual":
            weights = part_weights(tokens.parts_VxP, self.made_lengths[...], heuristic)
            rows = combined(weights, side.rows_VxPxD) + self.c.alpha * side.deviation_D[None] * h_VxD
        rows = jnp.where(tokens.special_V[:, None], side.rows_VxPxD[:, 0], rows)
        return keep_rows_split(jnp.where(tokens.there_VxP.any(axis=1)[:, None], rows, side.mean_D[None]))


def as_table(interface: Hypernetwork) -> Table:
    """The learned table that the interface is for the text's vocabulary: the same model, and nothing is made again."""
    return interface.with_rows(_own_tables(interface))


@jax.jit
def _own_tables(interface: Hypernetwork) -> MadeTables:
    return interface.tables(interface.own)


def _side(table_UxD: Float[Array, "U D"], tokens: _Tokens) -> _Side:
    rows = table_UxD.astype(jnp.float32)
    mean_D = jnp.mean(rows, axis=0)
    deviation_D = jnp.sqrt(jnp.mean(jnp.square(rows - mean_D[None]), axis=0))
    found = table_UxD.at[jnp.maximum(tokens.parts_VxP, 0)].get(mode="fill", fill_value=jnp.nan)
    return _Side(found.astype(jnp.float32), mean_D, deviation_D)


def _check(c: ConfigDict) -> None:
    for name, value, known in (
        ("form", c.form, FORMS),
        ("heuristic_in", c.heuristic_in, tuple(HEURISTICS)),
        ("heuristic_out", c.heuristic_out, tuple(HEURISTICS)),
        ("lexical.kind", c.lexical.kind, tuple(KINDS)),
    ):
        if value not in known:
            raise ValueError(f"unknown interface.{name} '{value}'; there are {', '.join(known)}")
    if c.parts < 1:
        raise ValueError(f"interface.parts is {c.parts}: a token is spelled in 1 part at least")
    if c.source.table_rows:
        raise ValueError("interface.source.table_rows: every token of the source has a row of its own; set it to 0")
    if not 0 <= c.language < max(1, c.languages):
        raise ValueError(f"interface.language is {c.language}, and there are {c.languages} (interface.languages)")
