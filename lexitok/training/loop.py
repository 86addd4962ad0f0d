"""The loop of every run."""

import dataclasses
import hashlib
import json
import logging
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from lexitok.data.batch import Batch
from lexitok.data.encoders import Encoder
from lexitok.data.iterator import TrainIterator
from lexitok.data.pipeline import train_iterator
from lexitok.data.placement import put_batch_share
from lexitok.data.readers import RawDocument
from lexitok.data.sources import open_source
from lexitok.data.speakers import encoders_of_sources
from lexitok.evals import Evaluation
from lexitok.evals.evaluate import evaluate_by_source
from lexitok.models.build import evaluated
from lexitok.models.counting import count_params
from lexitok.runs.checkpoints.manager import Checkpoints
from lexitok.runs.directory import RunDirectory
from lexitok.runs.documents import FILE as DOCUMENTS_FILE
from lexitok.runs.metrics import MetricWriter
from lexitok.runs.run import RESULT_FILE
from lexitok.sharding import row_share
from lexitok.training.ahead_of_time import abstract_batch
from lexitok.training.flops import peak_flops, training_flops
from lexitok.training.metrics import FiniteGuard, Late, averages
from lexitok.training.on_policy import make_on_policy
from lexitok.training.processes import check_same
from lexitok.training.progress import Progress, Silent
from lexitok.training.setup import Setup, make_setup
from lexitok.training.state import TrainState

log = logging.getLogger(__name__)


def train(config: ConfigDict, workdir: str | Path) -> dict[str, Any]:
    """Trains to `config.train.steps`, from a checkpoint in `workdir` if there is one.

    Writes `config.json`, `metrics.jsonl`, `tensorboard/`, `checkpoints/`, `vocabulary.model`, `result.json` and, of the
    last evaluation, `documents.jsonl` (a line a document) there, and in `history.jsonl` what was changed on the way.

    Returns:
      What `result.json` holds: name, parameters, steps, bytes, seconds and model FLOPs of training, and the last
      evaluation as `Evaluation.summary` gives it (not if `eval_every` is 0).

    Raises:
      ValueError: settings, data or a run in `workdir` that do not fit; nothing is changed there then.
      RunInUseError: another process is at work there.
      NonFiniteError: a loss that is not a number.
    """
    workdir = Path(workdir)
    setup = make_setup(config, workdir)
    record = setup.record()
    with (
        jax.set_mesh(setup.mesh),
        RunDirectory(workdir, record) as directory,
        Checkpoints(workdir, record, keep=config.train.keep) as checkpoints,
    ):
        iterator = train_iterator(
            setup.config, setup.encoder, setup.objective.tokenisations, share=row_share(setup.mesh)
        )
        state, clock = _start(setup, checkpoints, iterator)
        run = _Run(directory, setup, iterator, checkpoints, clock)
        with MetricWriter(workdir, resumed_from=clock.step or None) as run.writer:
            directory.begin(clock.step)  # nothing is refused from here on
            return run.run(state)


@dataclasses.dataclass
class Clock:
    """How far a run is: steps, raw bytes learnt from, and seconds spent on it (without evaluations and start-up)."""

    step: int = 0
    bytes: float = 0.0
    seconds: float = 0.0


def _start(setup: Setup, checkpoints: Checkpoints, iterator: TrainIterator) -> tuple[TrainState, Clock]:
    # 1. The newest checkpoint of this run that can be read: state, place in the data, and how far it was.
    restored = checkpoints.restore(setup.abstract_state)
    if restored is not None:
        iterator.set_state(restored.data["iterator"])
        log.info("resuming at step %d", restored.step)
        return setup.with_made(restored.state), Clock(**restored.data["clock"])
    # 2. From the start.
    state, origins = setup.init_state_and_origins()
    checkpoints.record = setup.record(origins)
    return state, Clock()


class _Run:
    """The steps of a run, and what is done between them.

    It is made before anything is written: what cannot be found or does not go together is refused there.
    """

    writer: MetricWriter

    def __init__(
        self,
        directory: RunDirectory,
        setup: Setup,
        iterator: TrainIterator,
        checkpoints: Checkpoints,
        clock: Clock,
    ):
        self.directory, self.setup, self.iterator = directory, setup, iterator
        self.checkpoints, self.clock = checkpoints, clock
        self.c = setup.config.train
        self.late, self.guard = Late(), FiniteGuard(start=clock.step)
        self.window: list[dict[str, Any]] = []
        self.evaluation: Evaluation | None = None
        self.step = setup.step()
        self.flops = training_flops(setup, abstract_batch(setup))  # of a step
        self.since = 0.0
        self.documents, self.encoders = _validation(setup) if self.c.eval_every else ([], [])
        self.on_policy = make_on_policy(setup.config, setup.encoder, setup.objective)

    def run(self, state: TrainState) -> dict[str, Any]:
        if self.clock.step >= self.c.steps:
            log.warning("%d steps were done already: train.steps is %d", self.clock.step, self.c.steps)
            self._evaluate(state)
            return self._finish(state)
        if self._evaluates(self.clock.step) and not self._was_evaluated():  # it was stopped between save and evaluation
            self._evaluate(state)
        shown = Progress if jax.process_index() == 0 else Silent
        with shown(self.c.steps, start=self.clock.step, name=self.setup.config.name) as progress:
            batch = self._first_batch(state)
            step = self.step.lower(state, batch).compile()
            self.since = time.monotonic()
            with jax.transfer_guard("disallow"):
                for n in range(self.clock.step + 1, self.c.steps + 1):
                    state, sums = step(state, batch)
                    self._read(self.late.push(n, sums), progress)  # of the step before, while this one runs
                    data = self.iterator.get_state() if self._saves(n) else None
                    batch = self._next_batch(n + 1, state) if n < self.c.steps else batch
                    self._between(n, state, data, progress)
        return self._finish(state)

    def _batch(self, step: int, state: TrainState) -> Batch:
        """What a step is about, on the host."""
        if self.on_policy is not None and self.on_policy.writes(step):
            with jax.transfer_guard("allow"):
                return self.on_policy.batch(evaluated(state.model), step)
        return next(self.iterator)

    def _next_batch(self, step: int, state: TrainState) -> Batch:
        return put_batch_share(self._batch(step, state), self.setup.mesh)

    def _first_batch(self, state: TrainState) -> Batch:
        batch = self._batch(self.clock.step + 1, state)
        digest = hashlib.sha256()
        for leaf in jax.tree.leaves(batch.vocabulary):
            digest.update(leaf)
        check_same("the vocabulary of the first batch", digest.hexdigest())  # each process gives its devices its own
        return put_batch_share(batch, self.setup.mesh)

    def _read(self, ready: tuple[int, Any] | None, progress: Progress) -> None:
        if ready is None:
            return
        step, sums = ready
        self.guard.check(step, sums)
        self.window.append(sums)
        progress.update(step)

    def _saves(self, n: int) -> bool:
        return n == self.c.steps or _due(n, self.c.checkpoint_every)

    def _evaluates(self, n: int) -> bool:
        return bool(self.documents) and n > 0 and (n == self.c.steps or _due(n, self.c.eval_every))

    def _was_evaluated(self) -> bool:
        return any(row["step"] == self.clock.step and "eval/bpb" in row for row in self.writer.history)

    def _between(self, n: int, state: TrainState, data: dict | None, progress: Progress) -> None:
        """What is due after step `n`: a log, a checkpoint, an evaluation."""
        save, evaluation = self._saves(n), self._evaluates(n)
        if save or evaluation or _due(n, self.c.log_every):  # checkpoints begin with an empty window
            self._read(self.late.flush(), progress)
            self._log(n, progress)
        if save:  # before the evaluation, which takes long: whatever ends the run there, the step is kept
            self.directory.check()
            self.checkpoints.save(n, state, {"iterator": data, "clock": dataclasses.asdict(self.clock)})
            self.since = time.monotonic()
        if evaluation:
            self._evaluate(state)

    def _log(self, n: int, progress: Progress) -> None:
        """Writes the sums of the steps since the last log, divided here."""
        now = time.monotonic()
        spent, self.since = now - self.since, now
        total = {k: float(np.sum([np.float64(sums[k]) for sums in self.window])) for k in self.window[-1]}
        self.clock = Clock(n, self.clock.bytes + total["bytes"], self.clock.seconds + spent)
        values = {
            "train/lr": self._rate(n),
            **self.iterator.report.metrics(),
            **{f"train/{name}": value for name, value in averages(total, len(self.window)).items()},
            **self._speed(total["bytes"], len(self.window), spent),
            **({} if self.on_policy is None else self.on_policy.take_metrics(n)),
            "bytes": self.clock.bytes,
            "seconds": self.clock.seconds,
        }
        self.window = []
        self.writer.write(n, values)
        shown = "bpb" if "train/bpb" in values else "loss"
        progress.update(n, {shown: values[f"train/{shown}"], "kB/s": values["speed/bytes_per_second"] / 1e3})

    def _rate(self, n: int) -> float:
        """The learning rate of step `n`."""
        with jax.transfer_guard("allow"):
            return float(jnp.asarray(self.setup.schedule(jnp.asarray(n - 1))))

    def _speed(self, nbytes: float, steps: int, seconds: float) -> dict[str, float]:
        speed = {"speed/bytes_per_second": nbytes / seconds, "speed/seconds_per_step": seconds / steps}
        peak = peak_flops(self.setup.mesh.devices.flat[0])
        if peak is not None:
            speed["speed/mfu"] = self.flops * steps / (seconds * peak * self.setup.mesh.size)
        return speed

    def _evaluate(self, state: TrainState) -> None:
        if not self.documents:
            return
        c = self.setup.config
        self.evaluation = evaluate_by_source(
            evaluated(state.averaged),
            self.encoders,
            self.documents,
            rows=c.data.rows,
            symbols=c.data.symbols,
            units=c.data.units,
            overlap=c.eval.overlap,
            words=c.eval.words,
            chunk=c.objective.chunk,
        )
        numbers = {f"eval/{k}": v for k, v in self.evaluation.summary().items() if isinstance(v, int | float)}
        where = {"bytes": self.clock.bytes, "seconds": self.clock.seconds}
        self.writer.write(self.clock.step, {**numbers, **where})
        self.since = time.monotonic()

    def _finish(self, state: TrainState) -> dict[str, Any]:
        """Writes what the run is to be known by."""
        result = {
            "name": self.setup.config.name,
            **({} if self.evaluation is None else self.evaluation.summary()),
            "parameters": count_params(state.model)["total"],
            "steps": self.clock.step,
            "train_bytes": self.clock.bytes,
            "train_seconds": self.clock.seconds,
            "train_flops": self.flops * self.clock.step,
        }
        if jax.process_index() == 0:
            if self.evaluation is not None:
                self.evaluation.save_documents(self.directory.path / DOCUMENTS_FILE)
            self.directory.write(RESULT_FILE, json.dumps(result, indent=1) + "\n")
        return result


def _due(n: int, every: int) -> bool:
    return bool(every) and n % every == 0


def _validation(setup: Setup) -> tuple[list[RawDocument], list[Encoder]]:
    """The documents that the run is evaluated on, the same for every run on a source, and each source's encoder."""
    data = setup.config.data
    corpus = open_source(data.source, data.validation_split, cache=data.cache, field=data.field)
    encoders = encoders_of_sources(setup.encoder, data.parts, len(corpus.sources))
    return list(corpus.documents(setup.config.eval.bytes)), encoders
