"""Ways to give a model a new tokenizer, compared: each measured on the same raw bytes and the same questions.

An arm is a tokenizer and the methods of both tables. What is measured of it is a line of a file, so that a comparison
that was stopped goes on, and a table is made of the file alone.
"""

import dataclasses
import functools
import json
import re
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
from lexitok.runs.checkpoints.files import VOCABULARY
from lexitok.runs.load import load_model
from lexitok.runs.run import CONFIG, read_config
from lexitok.text.tokenizer_files import load_tokenizer
from lexitok.text.vocabulary import Tokenizer
from lexitok.training.loop import train
from lexitok.transfer.errors import TransferError
from lexitok.transfer.materials import Given, Materials
from lexitok.transfer.methods import make_method, takes
from lexitok.transfer.model import transfer
from lexitok.transfer.runs import transfer_run

MEASUREMENTS = "measurements.jsonl"


@dataclasses.dataclass(frozen=True)
class Arm:
    """One way.

    Attributes:
      tokenizer: its name in the table.
      method_in, method_out: as they are written; `method_out` empty: that of `method_in`; both empty: the model as it
        is, under its own tokenizer.
      steps: of a continued training; 0: none.
      seed: of it.
    """

    tokenizer: str
    method_in: str = ""
    method_out: str = ""
    steps: int = 0
    seed: int = 0

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
      materials: by the name of a tokenizer, what methods count, compare and translate for it.
      steps: of a continued training after each transfer; 0: none.
      lr: its highest rate, reached after a tenth of the steps.
      seeds: how often it is trained on.
      questions: on digits.
    """

    run: Path
    tokenizers: Mapping[str, Path]
    methods: Sequence[tuple[str, str]]
    sources: Mapping[str, str]
    max_bytes: int = 100_000
    materials: Mapping[str, Materials] = dataclasses.field(default_factory=dict)
    steps: int = 0
    lr: float = 1e-3
    seeds: int = 1
    questions: int = 100


def compare_transfers(comparison: Comparison, out: Path) -> dict[Arm, dict[str, Any]]:
    """Measures every arm, and the original; what is in `out` already is not measured again.

    Args:
      comparison: what to do.
      out: folder of `measurements.jsonl`, and of the runs that are trained on.

    Returns:
      What `measured` says of each arm, and the `seconds` of the transfer, or of it and the training.

    Raises:
      TransferError, SourceError, ValueError: a run, tokenizer, method or source that cannot be used; `out` has
        measurements of other texts or questions.
    """
    subject = _subject(comparison)
    measurements = Measurements(out / MEASUREMENTS)
    _check_same_text(measurements, subject, out)
    measurements.get(Arm("original"), lambda: {**measured(subject, subject.model, subject.encoder), "seconds": 0.0})
    for name, path in comparison.tokenizers.items():
        target = load_tokenizer(path)
        given = comparison.materials.get(name, Materials()).given(subject.encoder.tokenizer, target)
        for said_in, said_out in comparison.methods:
            arm = Arm(name, said_in, said_out)
            measurements.get(arm, functools.partial(_at_once, subject, arm, target, given))
            for seed in range(comparison.seeds if comparison.steps else 0):
                later = dataclasses.replace(arm, seed=seed, steps=comparison.steps)
                measurements.get(later, functools.partial(_trained_on, comparison, subject, later, out))
        jax.clear_caches()  # programs of a vocabulary's size
    return measurements.of


def _check_same_text(measurements: Measurements, subject: Subject, out: Path) -> None:
    texts = {name: [len(document) for document in documents] for name, documents in subject.documents.items()}
    for arm, row in measurements.of.items():
        asked = {score["questions"] for score in row["digits"].values()}
        if {name: text["bytes"] for name, text in row["texts"].items()} != texts or asked != {subject.questions}:
            raise TransferError(
                f"{out} has measurements ({arm.tokenizer}) of other texts or questions: name another folder, or what "
                "was measured there"
            )


def _at_once(subject: Subject, arm: Arm, target: Tokenizer, given: Given) -> dict[str, Any]:
    begun, tied = time.monotonic(), subject.model.interface.head is None
    method_in = make_method(arm.method_in, **given(takes(arm.method_in), "in"))
    said_out = arm.method_out or arm.method_in
    method_out = None if tied else make_method(said_out, **given(takes(said_out), "out"))
    done = transfer(subject.model, subject.encoder.tokenizer, target, method_in=method_in, method_out=method_out)
    jax.block_until_ready(done.model.interface.table[...])
    seconds = time.monotonic() - begun
    return {**measured(subject, done.model, make_encoder(subject.text, target)), "seconds": seconds}


def _trained_on(comparison: Comparison, subject: Subject, arm: Arm, out: Path) -> dict[str, Any]:
    """What is measured after a continued training, as the run was trained, with a rate and a schedule of its own."""
    way = re.sub(r"[^a-z0-9]+", "_", f"{arm.tokenizer} {arm.method_in} {arm.method_out}".lower()).strip("_")
    start, workdir = out / way / "start", out / way / f"steps_{arm.steps}_seed_{arm.seed}"
    begun = time.monotonic()
    if not (start / CONFIG).exists():
        how = {"method_in": arm.method_in, "method_out": arm.method_out or None}
        materials = comparison.materials.get(arm.tokenizer, Materials())
        transfer_run(comparison.run, comparison.tokenizers[arm.tokenizer], start, materials=materials, **how)
    config = read_config(start)
    with config.unlocked():
        config.seed, config.text.vocabulary.path = arm.seed, str(start / VOCABULARY)
        config.train.start.run, config.train.steps = str(start), arm.steps
        config.train.eval_every, config.train.checkpoint_every = 0, arm.steps
        config.optimizer.lr, config.optimizer.warmup = comparison.lr, arm.steps // 10
    train(config, workdir)
    seconds = time.monotonic() - begun
    return {**measured(subject, *load_model(workdir)), "seconds": seconds}


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
