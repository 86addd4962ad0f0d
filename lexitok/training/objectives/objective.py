"""What an objective is, and what it asks for."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from lexitok.data.batch import Batch, Tokenisation, Tokens
from lexitok.data.encoders import Encoder
from lexitok.data.spelling import Spelling
from lexitok.ops.read_out import Reductions
from lexitok.text.joint_tokenizer import ends_of
from lexitok.training.own import Memory, OwnMaker
from lexitok.training.state import Fixed
from lexitok.training.teachers import Teacher

Sums = dict[str, Float[Array, ""]]


@dataclasses.dataclass(frozen=True)
class Objective:
    """What a run minimises.

    Attributes:
      function: what is trained, what is fixed (`lexitok.training.state.TrainState`) and a batch, to what is minimised,
        summed over targets, and to sums that are added up over batches and devices, and divided only on the host.
        Among them are `weights`, the number of targets (the gradient is that of the sum over it), and `bytes`, of raw
        text. What the log makes of the others: `lexitok.training.metrics.averages`. Where the objective has something
        of its own, it takes its parameters and its memory, too (`lexitok.training.own`).
      tokenisations: those that batches have to hold beside the model's own.
      own: makes what it has of its own; None: it has nothing.
      teachers: models that it reads beside the one that is trained, by the name that they have in what is fixed.
    """

    function: Callable[..., tuple[Float[Array, ""], Sums]]
    tokenisations: tuple[Tokenisation, ...] = ()
    teachers: Mapping[str, Teacher] = dataclasses.field(default_factory=dict, compare=False)  # it can be jitted
    own: OwnMaker | None = dataclasses.field(default=None, compare=False)

    def __call__(
        self, trained: Any, fixed: Fixed, batch: Batch, parameters: Any = None, memory: Memory | None = None
    ) -> tuple[Float[Array, ""], Sums]:
        if self.own is None:
            return self.function(trained, fixed, batch)
        return self.function(trained, fixed, batch, parameters, memory)


def text_sums(tokens: Tokens, found: Reductions, ends_BxS: Bool[Array, "B S"]) -> Sums:
    """What a model's targets add up to: `weights`, how many are scored, `nats` of text and end-of-unit symbols,
    `eot_nats`, `bytes` of raw text, and `right`, targets that have the largest logit.

    Args:
      tokens: of the batch.
      found: of their read-out.
      ends_BxS: which targets end a document: their nats are no text's.
    """
    scored = tokens.weights_BxS
    nats = scored * found.nll_BxS
    eot_nats = jnp.sum(jnp.where(ends_BxS, nats, 0.0))
    return {
        "weights": jnp.sum(scored),
        "nats": jnp.sum(nats) - eot_nats,
        "eot_nats": eot_nats,
        "bytes": jnp.sum(jnp.where(scored > 0, tokens.bytes_BxS, 0)).astype(jnp.float32),
        "right": jnp.sum(scored * found.is_top_BxS.astype(jnp.float32)),
    }


def document_ends(encoder: Encoder) -> Callable[[Batch], Bool[Array, "B S"]]:
    """Of a batch, which targets end a document: by the batch's own symbol for it, where it brings a vocabulary.

    Args:
      encoder: of the symbols of batches that bring none.
    """
    eots = ends_of(getattr(encoder, "tokenizer", None), encoder.vocabulary)

    def ends(batch: Batch) -> Bool[Array, "B S"]:
        own = batch.vocabulary.eot if isinstance(batch.vocabulary, Spelling) else None
        found = [batch.tokens.targets_BxS == eot for eot in (eots if own is None else (own,))]
        return functools.reduce(jnp.logical_or, found)

    return ends
