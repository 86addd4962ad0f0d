"""A run's own numbers, audited as anybody's are: its tokens, and the nats of each."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from lexitok.data.encoders import Encoder
from lexitok.data.readers import RawDocument
from lexitok.data.sources import has_chats, open_source
from lexitok.data.windows import eval_batches
from lexitok.evals.scoring import score_documents
from lexitok.runs.load import load_model
from lexitok.runs.run import Run
from lexitok.sharding import make_mesh
from lexitok.text.audit import Audit, AuditError, TokenLog, audit
from lexitok.text.vocabulary import Encoding, Vocabulary


@dataclasses.dataclass(frozen=True)
class EncoderAsTokenizer:
    """The symbols of any model, as those of a tokenizer."""

    encoder: Encoder

    @property
    def vocabulary(self) -> Vocabulary:
        return self.encoder.vocabulary

    def encode(self, data: bytes) -> Encoding:
        stream, lossy = self.encoder.measure(data)
        return Encoding(stream.symbols, stream.nbytes, lossy)

    def to_bytes(self) -> bytes:
        return self.vocabulary.to_bytes()


def own_documents(run: Run, max_bytes: int = 0) -> list[RawDocument]:
    """The validation documents of a run, as `experiments/evaluate.py` takes them.

    Args:
      max_bytes: of whole documents, at most; 0: all.

    Raises:
      SourceError: the source is not there any more.
    """
    data = run.config.data
    corpus = open_source(data.source, data.validation_split, cache=data.cache, field=data.field)
    return list(corpus.documents(max_bytes))


def audit_run(run: Run, documents: Sequence[RawDocument]) -> tuple[Audit, list[TokenLog]]:
    """Scores documents with a run's newest checkpoint, rows split over all devices, and audits what comes out.

    On the same documents in the same order it is what `lexitok.analysis.evaluating` gives, to the last digit.

    Raises:
      RunError: the run cannot be read.
      MeshError: the run's `data.rows` cannot be split over the devices.
      AuditError: there are no documents, or the run reads chats.
    """
    if has_chats(run.config.data.source):
        raise AuditError(f"{run.path} reads chats, of which only a part is text: audit its tokenizer")
    with jax.set_mesh(make_mesh()):
        return audit_model(*load_model(run), documents, run.config)


def audit_model(
    model: Any, encoder: Encoder, documents: Sequence[RawDocument], c: ConfigDict
) -> tuple[Audit, list[TokenLog]]:
    """Scores documents as `lexitok.evals.evaluate` does, on the mesh that is set, and audits what comes out.

    Args:
      model, encoder: any.
      documents: raw.
      c: the run's config, for the shape of batches. What would come out if documents were cut at a row is asked for.

    Returns:
      The audit, and the log of each document, which `lexitok.text.audit` takes as anybody's.

    Raises:
      AuditError: there are no documents.
    """
    if not documents:
        raise AuditError("there are no documents to audit")
    data, eot = c.data, encoder.vocabulary.eot
    shape = {"rows": data.rows, "symbols": data.symbols, "units": data.units, "overlap": c.eval.overlap}
    batches = eval_batches([document.data for document in documents], encoder, **shape)
    scored = (of for _, of in score_documents(model, batches, eot, chunk=c.objective.chunk))
    logs = [TokenLog(of.symbols.astype(np.int64), of.nll.astype(np.float64)) for of in scored]
    named = [(document.id, document.data) for document in documents]
    within = encoder.vocabulary.specials - {eot}  # what ends a unit is predicted as text is
    return audit(EncoderAsTokenizer(encoder), named, logs, within=within, window=data.symbols), logs
