"""Ways to give a model a new tokenizer, compared: each measured on the same raw bytes and the same questions.

An arm is a tokenizer and the methods of both tables. What is measured of it is a line of a file, so that a comparison
that was stopped goes on, and a table is made of the file alone.
"""

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from lexitok.data.digits import TASKS
from lexitok.data.encoders import Encoder, make_encoder
from lexitok.data.sources import open_source
from lexitok.evals import evaluate
from lexitok.evals.digits import digit_accuracy
from lexitok.runs.load import load_model
from lexitok.runs.run import read_config
from lexitok.text.tokenizer_files import load_tokenizer
from lexitok.text.vocabulary import Tokenizer
from lexitok.transfer.methods import Method, make_method
from lexitok.transfer.model import transfer
from lexitok.transfer.runs import vectors_of


@dataclasses.dataclass(frozen=True)
class Arm:
    """One way.

    Attributes:
      tokenizer: its name in the table.
      method_in, method_out: as they are written; `method_out` empty: that of `method_in`; both empty: the model as it
        is, under its own tokenizer.
      seed: of what is drawn at random, and of a continued training.
      steps: of a continued training; 0: none.
    """

    tokenizer: str
    method_in: str = ""
    method_out: str = ""
    seed: int = 0
    steps: int = 0

    @property
    def is_original(self) -> bool:
        """Whether it is the model as it was given."""
        return not self.method_in and not self.steps


@dataclasses.dataclass(frozen=True)
class Subject:
    """A model that gets new tokenizers, and what it is measured on.

    Attributes:
      model, encoder: as of `lexitok.runs.load.load_model`.
      text: the config section `text` of its run.
      documents: raw documents by the name of a text.
      batch: `rows`, `symbols`, `units`, `overlap`, `words` and `chunk` of `lexitok.evals.evaluate`.
      questions: on digits, of each task.
    """

    model: Any
    encoder: Any
    text: Any
    documents: Mapping[str, Sequence[bytes]]
    batch: Mapping[str, Any]
    questions: int = 100


def transferred(
    subject: Subject, target: Tokenizer, method_in: Method, method_out: Method | None, seed: int
) -> tuple[Any, Encoder, float]:
    """The subject's model under a tokenizer, its encoder, and the seconds that it took."""
    begun = time.monotonic()
    source = subject.encoder.tokenizer
    done = transfer(subject.model, source, target, method_in=method_in, method_out=method_out, seed=seed)
    jax.block_until_ready(done.model.interface.table[...])
    return done.model, make_encoder(subject.text, target), time.monotonic() - begun


def measured(subject: Subject, model: Any, encoder: Encoder) -> dict[str, Any]:
    """What is measured of a model: for each text nats and bytes of its documents and tokens per byte, and digits."""
    texts = {}
    for name, documents in subject.documents.items():
        scores = evaluate(model, encoder, documents, **subject.batch).documents
        tokens = sum(len(encoder.encode(document, name).symbols) - 1 for document in documents)  # the last ends it
        nats, nbytes = [score.nats for score in scores], [score.nbytes for score in scores]
        texts[name] = {"nats": nats, "bytes": nbytes, "tokens_per_byte": tokens / sum(nbytes)}
    answers = {task: digit_accuracy(model, encoder, task, questions=subject.questions) for task in TASKS}
    return {"texts": texts, "digits": {task: dataclasses.asdict(score) for task, score in answers.items()}}


class Measurements:
    """A file with a line for each arm that was measured; an arm that is there is not measured again.

    Attributes:
      of: what was measured, by arm, in the order of the file.
    """

    def __init__(self, path: Path):
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.of = {Arm(**row.pop("arm")): row for row in map(json.loads, lines)}

    def get(self, arm: Arm, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What was measured of an arm; it is measured and written if it was not."""
        if arm not in self.of:
            self.of[arm] = measure()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a") as file:
                file.write(json.dumps({"arm": dataclasses.asdict(arm), **self.of[arm]}) + "\n")
        return self.of[arm]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Ways to give the model of a run new tokenizers, and what they are measured on.

    Attributes:
      run: directory of a run of a subword model.
      tokenizers: files or directories, by their names in the table.
      methods: pairs of how symbols enter and leave, as they are written; the second may be empty: the same.
      sources: of documents (`data.source`), by the names of their texts.
      max_bytes: of each text's whole documents.
      vectors: runs of models that have a tokenizer, by its name, for methods that compare their rows.
      seeds: how often each way is gone whose numbers depend on chance.
      steps: of a continued training after each transfer; 0: none.
      questions: on digits.
    """

    run: Path
    tokenizers: Mapping[str, Path]
    methods: Sequence[tuple[str, str]]
    sources: Mapping[str, str]
    max_bytes: int = 100_000
    vectors: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    seeds: int = 1
    steps: int = 0
    questions: int = 100


def compare_transfers(comparison: Comparison, out: Path) -> dict[Arm, dict[str, Any]]:
    """Measures every arm, and the original; what is in `out` already is not measured again.

    Args:
      comparison: what to do.
      out: folder of `measurements.jsonl`, and of the runs that are trained on.

    Raises:
      TransferError, SourceError, ValueError: a run, tokenizer, method or source that cannot be used.
    """
    subject = _subject(comparison)
    measurements = Measurements(out / "measurements.jsonl")
    measurements.get(Arm("original"), lambda: {**measured(subject, subject.model, subject.encoder), "seconds": 0.0})
    for name, path in comparison.tokenizers.items():
        target = load_tokenizer(path)
        vectors = vectors_of(comparison.vectors[name], target) if name in comparison.vectors else (None, None)
        for said_in, said_out in comparison.methods:
            method_in = make_method(said_in, vectors_VxA=vectors[0])
            method_out = make_method(said_out, vectors_VxA=vectors[1]) if said_out else None
            for seed in range(comparison.seeds):
                arm = Arm(name, said_in, said_out, seed)

                def of_arm(target=target, method_in=method_in, method_out=method_out, seed=seed) -> dict[str, Any]:
                    model, encoder, seconds = transferred(subject, target, method_in, method_out, seed)
                    return {**measured(subject, model, encoder), "seconds": seconds}

                measurements.get(arm, of_arm)
        jax.clear_caches()  # programs of a vocabulary's size
    return measurements.of


def _subject(comparison: Comparison) -> Subject:
    model, encoder = load_model(comparison.run)
    c = read_config(comparison.run)
    documents = {
        name: [d.data for d in open_source(source, "validation", cache=c.data.cache).documents(comparison.max_bytes)]
        for name, source in comparison.sources.items()
    }
    batch = {name: c.data[name] for name in ("rows", "symbols", "units")}
    batch |= {"overlap": c.eval.overlap, "words": c.eval.words, "chunk": c.objective.chunk}
    return Subject(model, encoder, c.text, documents, batch, comparison.questions)
