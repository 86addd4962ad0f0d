"""Rows of merged tokens, of how a model's tokenizer spells their bytes: by a training-free method, or a hypernetwork.

A token's rows depend on its bytes alone, not on the text that it was merged in nor on what it was merged of.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lexitok.data.spelling import Spelling
from lexitok.interfaces import Interface
from lexitok.interfaces.bound import TableBound
from lexitok.interfaces.table import Table
from lexitok.text.matching import NONE, Match
from lexitok.text.parts import parts_of
from lexitok.text.vocabulary import Encoding, Tokenizer, Vocabulary
from lexitok.transfer.errors import TransferError
from lexitok.transfer.methods import Method, Problem

_TOGETHER = 256  # tokens that a hypernetwork is asked for at once, so that few programs are compiled


class TokenRows(NamedTuple):
    """The rows of `n` tokens, float32.

    Attributes:
      entering_nxD: as they enter: scaled as the interface scales its own.
      leaving_nxD: by which they leave.
    """

    entering_nxD: Float[np.ndarray, "n D"]
    leaving_nxD: Float[np.ndarray, "n D"]


@runtime_checkable
class RowMaker(Protocol):
    """A way to make rows."""

    def __call__(self, tokens: Sequence[bytes]) -> TokenRows:
        """The rows of tokens that the tokenizer has not, all different."""
        ...


class MethodRows:
    """Rows by a method of `lexitok.transfer.methods`, from those of a model's table."""

    def __init__(
        self,
        interface: Interface,
        tokenizer: Tokenizer,
        method_in: Method,
        method_out: Method | None = None,
        *,
        seed: int = 0,
    ):
        """Takes the model's interface and tokenizer.

        Args:
          interface: with a row for each of the tokenizer's ids.
          tokenizer: spells tokens.
          method_in, method_out: as of `lexitok.transfer.rows.init_embeddings`; `method_out` None: that of `method_in`.
          seed: of what they draw at random.

        Raises:
          TransferError: the interface has no learned table, or not one row for each id.
        """
        if not isinstance(interface, Table) or interface.shared:
            what = type(interface).__name__ + (" of shared rows" if isinstance(interface, Table) else "")
            raise TransferError(f"methods make rows of those of a learned table, a row a symbol; this is a {what}")
        if interface.vocabulary_size != tokenizer.vocabulary.size:
            raise TransferError(
                f"the model has {interface.vocabulary_size} rows, and its tokenizer {tokenizer.vocabulary.size} ids"
            )
        self._tokenizer, self._methods, self._seed = tokenizer, (method_in, method_out or method_in), seed
        self._rows_in, self._rows_out = _on_host(interface.table[...]), _on_host(interface.table_out)
        self._scale = np.float32(interface.embed_scale)

    def __call__(self, tokens: Sequence[bytes]) -> TokenRows:
        target, match = _more(self._tokenizer, tokens), self._match(len(tokens))
        problem = Problem(self._tokenizer, target, match, self._rows_in, self._seed)
        method_in, method_out = self._methods
        leaving = method_out(problem.leaving(self._rows_out)).rows_nxD
        return TokenRows(method_in(problem).rows_nxD * self._scale, leaving)

    def _match(self, n: int) -> Match:
        own = np.arange(len(self._rows_in), dtype=np.int32)
        return Match(np.append(own, np.full(n, NONE, np.int32)), len(own) + np.arange(n, dtype=np.int32), own[:0])


def _on_host(rows: Any) -> Float[np.ndarray, "V D"]:
    if isinstance(rows, jax.Array) and not rows.is_fully_addressable:
        raise TransferError("the model is spread over several processes: open it in one that holds all of it")
    return np.asarray(jax.device_get(rows), np.float32)


@dataclasses.dataclass(frozen=True)
class _Longer:
    """The tokenizer's ids and those of further tokens, as methods want their target."""

    tokenizer: Tokenizer
    vocabulary: Vocabulary

    def encode(self, data: bytes) -> Encoding:
        return self.tokenizer.encode(data)

    def to_bytes(self) -> bytes:
        return self.tokenizer.to_bytes()


def _more(tokenizer: Tokenizer, tokens: Sequence[bytes]) -> Tokenizer:
    own = tokenizer.vocabulary
    return _Longer(tokenizer, dataclasses.replace(own, token_bytes=own.token_bytes + tuple(tokens)))


class HypernetworkRows:
    """Rows by an interface that makes those of any vocabulary (`Interface.bind` with a `Spelling`)."""

    def __init__(self, interface: Interface, tokenizer: Tokenizer, *, parts: int = 8, language: int = 0):
        """Takes the interface.

        Args:
          interface: made for the tokens of `tokenizer`.
          tokenizer: spells tokens.
          parts: of a token, at most; further ones are left out, as when the interface was trained.
          language: of the texts, where the interface knows several.

        Raises:
          TransferError: `parts` is below 1.
        """
        if parts < 1:
            raise TransferError(f"a token is to be spelled in {parts} parts; 1 is the least")
        self._interface, self._tokenizer, self._parts, self._language = interface, tokenizer, parts, language

    def __call__(self, tokens: Sequence[bytes]) -> TokenRows:
        n = len(tokens)
        parts_nxP = np.full((max(1, -(-n // _TOGETHER)) * _TOGETHER, self._parts), NONE, np.int32)
        parts_nxP[:, 0] = self._tokenizer.vocabulary.eot  # of those that are not asked for: any
        found = parts_of(tokens, self._tokenizer)
        token, place = found.places
        kept = place < self._parts
        parts_nxP[token[kept], place[kept]] = found.ids[kept]
        spelling = Spelling(parts_nxP, np.asarray(self._language, np.int32))
        entering, leaving = jax.device_get(_made(self._interface, spelling))
        return TokenRows(entering[:n], leaving[:n])


@jax.jit
def _made(interface: Interface, spelling: Spelling) -> tuple[Float[Array, "n D"], Float[Array, "n D"]]:
    bound = interface.bind(jnp.zeros(1, jnp.int32), spelling)
    if not isinstance(bound, TableBound):
        raise TransferError(f"a {type(bound).__name__} has no table of rows by which symbols leave")
    ids = jnp.arange(len(spelling.parts_VxP), dtype=jnp.int32)
    return bound.embed(ids[None], jnp.float32)[0], bound.table_VxD.astype(jnp.float32)
