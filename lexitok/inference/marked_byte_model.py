"""`MarkedByteModel`: the distribution of bytes of a model whose symbols say where units end, summed over what they say.

Axes: `B` texts, `K` hypotheses of each, `F` forms of a hypothesis (as it is; with its unit closed), `M` symbols that
spell a byte, `C` the 256 bytes and the end of the text.
"""

import copy
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lexitok.data.batch import row_seeds
from lexitok.data.encoders import Encoder
from lexitok.inference.byte_symbols import byte_symbols, check_bytes, log_probabilities
from lexitok.inference.decoder import ContextError, Decoder, check_rows, most_positions, positions_of
from lexitok.inference.hypotheses import heaviest, log_sum, lost_after


class MarkedByteModel:
    """A model whose symbols say where units end (boundary rules `end_symbol`, `fused`), as a distribution of bytes.

    The probability of a text is the sum over all its markings: all the ways to say where its units end. Each is a
    hypothesis, a decoder's row that has read its symbols, weighted with their joint probability, as beams of tokens are
    in arXiv 2412.03719. With the next byte it forks: into the two symbols of that byte (`fused`); or into the byte, and
    a symbol that closes the unit, then the byte (`end_symbol`; each hypothesis has two rows, one for either). What the
    rule does not allow has no weight, and nothing is renormalised for it: a text costs at most what an evaluation
    counts of its one canonical marking, if that is not pruned.

    The `width` heaviest of the forks are kept, weighted with the byte that was pushed. The others are pruned: their
    weight is missing from then on, and nothing makes up for it, so that log-probabilities add up to a lower bound of a
    text's, and to all of it where `lost_B` is -inf. Under `fused` the forks that end a unit with the last byte may
    all be among the pruned: then the text cannot end there, and a larger `width` helps. Every byte copies all caches.

    Attributes:
      lost_B: float64, log of the share that was pruned so far from each text; -inf: nothing, its values are exact. The
        shares of its bytes are put together as if what was pruned had fared as what was kept did.
    """

    def __init__(self, model: Any, encoder: Encoder, rows: int, nbytes: int, width: int):
        """As `byte_model`."""
        if width < 1:
            raise ValueError(f"width is {width}; a text needs one hypothesis at least")
        rule, bos = encoder.rule, encoder.vocabulary.bos
        self._rule, self._width, self._nbytes = rule, width, nbytes
        self._forms = 1 if rule.end_of_unit is None else 2
        self._symbols_MxC = byte_symbols(encoder.vocabulary)
        self._known_C = self._symbols_MxC[0] != bos
        positions = positions_of(encoder, [bos]) + most_positions(encoder, nbytes)
        seeds_R = np.repeat(row_seeds(rows, 0), self._forms * width)  # all hypotheses of a text are of one row
        chunk = most_positions(encoder, 1)  # what a push reads
        decoder = Decoder(model, encoder, len(seeds_R), positions, chunk, seeds_R)
        decoder.read([[bos]] * len(seeds_R))
        self._allowed = rule.allowed_next(encoder.vocabulary, decoder.logits_BxV.shape[1])
        self._read_B = np.zeros(rows, np.int64)
        self.lost_B = np.full(rows, -np.inf)
        self._weights_BxK = np.full((rows, width), -np.inf)
        self._weights_BxK[:, 0] = 0.0
        self._go_to(decoder)

    def next_bytes(self) -> Float[Array, "B 257"]:
        return jnp.asarray(log_sum(self._forks_BxNxC), jnp.float32)

    def push(self, data: Sequence[int | None]) -> None:
        """As of a `ByteModel`; where anything is raised, no row has read anything.

        Raises:
          ValueError: not a byte, or one that the model's alphabet does not have; names the row.
          ContextError: a row has no room for it.
          FloatingPointError: the model's logits are not finite, or so far apart that the text has no probability.
        """
        check_bytes(data, len(self._read_B), self._known_C)
        pushed = {row: byte for row, byte in enumerate(data) if byte is not None}
        if not pushed:
            return
        at, new = np.array(list(pushed)), np.array(list(pushed.values()))
        self._check_room(at)
        kept = heaviest(self._forks_BxNxC[at, :, new], self._width)
        for row, byte, total in zip(at, new, kept.total_B, strict=True):
            if not np.isfinite(total):
                raise FloatingPointError(
                    f"row {row}: byte {byte} has no probability ({total}); are the model's parameters those of a run "
                    "that diverged?"
                )
        # Where there are fewer hypotheses than `width`, the heaviest stands in their places, without weight.
        index = np.where(kept.weights_BxK > -np.inf, kept.index_BxK, kept.index_BxK[:, :1])
        parent, which = np.divmod(index, len(self._symbols_MxC))
        decoder = self._fork(at, parent, self._symbols_MxC[which, new[:, None]])
        self.lost_B = self.lost_B.copy()  # what a caller has of it stays
        self.lost_B[at] = lost_after(self.lost_B[at], kept.left_out_B)
        self._weights_BxK[at] = kept.weights_BxK
        self._read_B[at] += 1
        self._go_to(decoder)

    def take(self, rows: Sequence[int]) -> "MarkedByteModel":
        """As of a `ByteModel`.

        Raises:
          IndexError: there is no such row.
          ValueError: no rows.
        """
        check_rows(rows, len(self._read_B), "taken")
        taken, at = copy.copy(self), np.array(rows, np.int64)
        taken._decoder = self._decoder.take(self._decoder_rows()[at].ravel().tolist())
        taken._weights_BxK, taken._forks_BxNxC = self._weights_BxK[at], self._forks_BxNxC[at]
        taken._read_B, taken.lost_B = self._read_B[at], self.lost_B[at]
        return taken

    def _check_room(self, at: np.ndarray) -> None:
        for row in at:
            if self._read_B[row] == self._nbytes:
                raise ContextError(
                    f"row {row} holds {self._nbytes} bytes, and there is room for no more; make the byte model with a "
                    "larger nbytes, or cut the text"
                )

    def _decoder_rows(self) -> np.ndarray:
        """Int64 `[B, F * K]`: the decoder's rows of each text, form by form."""
        return np.arange(len(self._decoder.cursors)).reshape(len(self._read_B), -1)

    def _fork(self, at: np.ndarray, parent_nxK: np.ndarray, symbol_nxK: np.ndarray) -> Decoder:
        """The decoder of the new hypotheses of the texts `at`; the other texts stay.

        Args:
          parent_nxK: the place among its text's decoder rows of the one that a hypothesis goes on from.
          symbol_nxK: what it goes on with.
        """
        rows = self._decoder_rows()
        come_from, read = rows.copy(), [[] for _ in range(rows.size)]
        come_from[at] = np.tile(np.take_along_axis(rows[at], parent_nxK, axis=1), self._forms)
        endings = [[], [self._rule.end_of_unit]][: self._forms]
        for of_text, symbols in zip(rows[at], symbol_nxK.tolist(), strict=True):
            news = ([symbol, *ending] for ending in endings for symbol in symbols)
            for row, new in zip(of_text, news, strict=True):
                read[row] = new
        decoder = self._decoder.take(come_from.ravel().tolist())
        decoder.read(read)
        return decoder

    def _go_to(self, decoder: Decoder) -> None:
        """Weighs what may come next: `_forks_BxNxC`, `N = F * K * M`, log of each hypothesis' weight with each byte."""
        self._decoder = decoder
        B, K = self._weights_BxK.shape
        end = self._rule.end_of_unit
        symbols_Q = np.append(self._symbols_MxC, [] if end is None else end).astype(np.int32)
        rooms = [self._rule.room(cursor) for cursor in decoder.cursors]
        allowed, symbols = jax.device_put((self._allowed[rooms], symbols_Q))
        log_p = np.asarray(log_probabilities(decoder.logits_BxV, allowed, symbols), np.float64)
        log_p = log_p.reshape(B, self._forms, K, -1)
        weights_BxFxK = self._weights_BxK[:, None]
        if end is not None:
            weights_BxFxK = np.concatenate([weights_BxFxK, weights_BxFxK + log_p[:, :1, :, -1]], axis=1)
        forks = weights_BxFxK[..., None] + log_p[..., : self._symbols_MxC.size]
        self._forks_BxNxC = forks.reshape(B, -1, self._symbols_MxC.shape[1])
