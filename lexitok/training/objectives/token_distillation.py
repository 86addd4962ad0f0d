"""Token distillation: a model under a new tokenizer comes to the hidden states that it had under the old one."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from lexitok.data.batch import Batch, Tokenisation
from lexitok.data.encoders import Encoder
from lexitok.distill.spans import states_after_spans
from lexitok.models.extras import of_batch
from lexitok.nn.layers import normed
from lexitok.ops.read_out import Query
from lexitok.training.objectives.objective import Objective, Sums, document_ends
from lexitok.training.state import Fixed, SetupError, model_of
from lexitok.training.teachers import TEACHER, open_teacher


def token_distillation(c: ConfigDict, encoder: Encoder) -> Objective:
    """The squared distance of hidden states from a teacher's, where both have read the same bytes (arXiv 2505.20133).

    The teacher reads the text in its own tokens. Wherever tokens of both end at one byte, the states after it are
    compared: the mean of the squared differences of their elements, in float32. By default they are those of the last
    layer, as in the authors' code (`target_layer=-1`), which names early layers as another choice; where one is chosen,
    the layers behind it are computed for nothing. The method is for rows that are new, all else frozen
    (`optimizer.rows`). It says how tokens enter: of rows by which they only leave it knows nothing, and a tied row is
    then whatever it takes to enter; next-token prediction, which the authors have for these, is added with a weight.

    Its sums: `weights` (spans that are compared), `loss` (what is minimised, of all of them), `distillation_loss` (the
    distances alone) and `bytes` (raw bytes of the targets); with a `next_token_weight`, `nats` of text and `eot_nats`,
    as of language modelling. Losses are means over spans: the nats that are added are those of a span's tokens.

    Args:
      c: the section `objective`: `teacher`, a `lexitok.config.teacher` with `symbols`, the teacher's tokens that a row
        has room for; `layer`, -1 for the last, or blocks that the residual stream has gone through;
        `next_token_weight`, of the nats; and `chunk`, positions of a row whose logits are computed at once.
      encoder: of the symbols.

    Raises:
      SetupError: there is no teacher, or no such layer; when it is traced, the models are not of one width, or no token
        models.
    """
    teacher = open_teacher(c.teacher, f"objective.{TEACHER}")
    if teacher.kept is not None:
        raise SetupError(f"{teacher.key}.cache holds predictions, and token_distillation compares hidden states")
    weight, layer, query, ends = c.next_token_weight, c.layer, Query(chunk=c.chunk), document_ends(encoder)
    _check_layer(layer, teacher.record.config, c.teacher.run)

    def distance(trained: Any, fixed: Fixed, batch: Batch) -> tuple[Float[Array, ""], Sums]:
        student, old = model_of(trained, fixed), teacher.model(fixed, TEACHER)
        _check_models(student, old, c.teacher.run)
        ours, final = _states(student, batch, layer)
        other, alignment = batch.others[0].tokens, batch.others[0].alignment
        theirs, _ = _states(old, Batch(other, batch.seeds_B), layer)
        a, read = states_after_spans(ours, alignment.of_first_BxS, batch.tokens.segments_BxS, alignment.spans)
        b, also = states_after_spans(theirs, alignment.of_second_BxT, other.segments_BxS, alignment.spans)
        apart = jnp.mean(jnp.square(a.astype(jnp.float32) - b.astype(jnp.float32)), axis=-1)
        loss = jnp.sum(jnp.where(read & also, apart, 0.0))
        scored = batch.tokens.weights_BxS
        sums = {
            "weights": jnp.sum(read & also).astype(jnp.float32),
            "distillation_loss": loss,
            "bytes": jnp.sum(jnp.where(scored > 0, batch.tokens.bytes_BxS, 0)).astype(jnp.float32),
        }
        if weight:
            found = student.interface.bind(batch.seeds_B, batch.vocabulary).read_out(final, of_batch(query, batch))
            nats = scored * found.nll_BxS
            eot_nats = jnp.sum(jnp.where(ends(batch), nats, 0.0))
            sums |= {"nats": jnp.sum(nats) - eot_nats, "eot_nats": eot_nats}
            loss = loss + weight * jnp.sum(nats)
        return loss, sums | {"loss": loss}

    theirs = Tokenisation(teacher.encoder, c.teacher.symbols, c.teacher.symbols)
    return Objective(distance, (theirs,), {TEACHER: teacher})


def _states(model: Any, batch: Batch, layer: int) -> tuple[Float[Array, "B S D"], Float[Array, "B S D"]]:
    """What is compared, and what the read-out takes."""
    if layer < 0:
        hidden = model.features(batch)["hidden"]
        return hidden, hidden
    streams = model.streams(batch)
    return streams[layer], normed(model.backbone.norm, streams[-1])


def _check_layer(layer: int, config: ConfigDict, run: str) -> None:
    if config.text.kind != "subword":
        raise SetupError(f"objective.teacher.run: {run} reads '{config.text.kind}'; a teacher has to read 'subword'")
    layers = config.model.backbone.L
    if not -1 <= layer <= layers:
        raise SetupError(f"objective.layer is {layer}: it is -1, or one of the teacher's 0 to {layers}")


def _check_models(student: Any, teacher: Any, run: str) -> None:
    if "subword" not in student.kinds_of_text:
        raise SetupError(f"token_distillation trains a model of tokens, not a {type(student).__name__}")
    ours, theirs = (model.backbone.c.D for model in (student, teacher))
    layers = [model.backbone.c.L for model in (student, teacher)]
    if ours != theirs or layers[0] != layers[1]:
        raise SetupError(
            f"objective.teacher.run: {run} has {layers[1]} layers of width {theirs}, and this model {layers[0]} of "
            f"{ours}: hidden states can be compared only between models of one shape"
        )
