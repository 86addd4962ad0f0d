"""A student of another tokenizer learns from a trained teacher, on the teacher's data.

    python experiments/train.py --config=configs/distill.py:runs/small_base,bytes --workdir=runs/student
    python experiments/train.py --config=configs/distill.py:runs/small_base,hat,one_to_one --workdir=runs/student
    python experiments/train.py --config=configs/distill.py:runs/small_base+runs/gemma,bytes --workdir=runs/student
    python experiments/train.py --config=configs/distill.py:runs/small_base,unigram,tiny --workdir=runs/student \
        --config.objective.losses.alm.weight=0.5 --config.objective.losses.alm.temperature=inf

What stands first is the teacher's run: data and evaluation are its own. Further teachers, of any tokenizers, are added
to it by `+`. Variants after it are, joined by commas, the student, fresh and of the shape of `configs/small_base.py`:
`bpe` (the default), `unigram`, `bytes` or `hat`; its size, `tiny` if it is to be smaller; and the losses: `alm` (arXiv
2503.20083; the default), `one_to_one` (arXiv 2610.08448), both with the nats of the text at equal weight, or these
alone, `text`, the baseline that sees no teacher.

A model that was given a new tokenizer learns from what it was before with `configs/continued.py:RUN,alm`. Rates and
lengths are our own, for a small model.
"""

from pathlib import Path

from ml_collections import ConfigDict

from lexitok.config import byte_unit_lm, default_config, distillation, further_teacher, token_lm, transformer
from lexitok.config.files import ConfigError, variant
from lexitok.config.sizes import backbone, local
from lexitok.runs.run import read_config

PLACES = ("first", "second", "third", "fourth")  # of teachers; but for the first, names of sections


def get_config(arg: str = "") -> ConfigDict:
    teachers, _, variants = arg.partition(",")
    runs = teachers.split("+")
    if not all(runs):
        raise ConfigError("say who teaches: --config=configs/distill.py:RUN or configs/distill.py:RUN,bytes,alm")
    if len(runs) > len(PLACES):
        raise ConfigError(f"at most {len(PLACES)} runs teach together, not {len(runs)}")
    c, theirs = default_config(), read_config(Path(runs[0]))
    c.name = "distill"
    for name in ("source", "field", "train_split", "validation_split", "cache"):
        c.data[name] = theirs.data[name]
    c.data.rows, c.data.symbols, c.data.units = 16, 1024, 256
    c.eval = theirs.eval
    c.optimizer.lr, c.optimizer.warmup = 3e-3, 50
    c.train.steps, c.train.eval_every, c.train.checkpoint_every = 1000, 500, 100
    _bpe(c)
    losses = {"alm": _losses(runs, alm=1.0), "one_to_one": _losses(runs, one_to_one=1.0), "text": _losses(runs)}
    losses["alm"](c)
    students = {"bpe": _bpe, "unigram": _unigram, "bytes": _bytes, "hat": _hat}
    return variant(c, variants, students, {"tiny": _tiny}, losses)


def _bpe(c: ConfigDict) -> None:
    c.text.kind = "subword"
    c.text.vocabulary.size = 4096
    c.model = token_lm()
    c.model.backbone = transformer(D=192, L=6, H=6, K=6, N=32, F=512)
    c.data.symbols = 320


def _unigram(c: ConfigDict) -> None:
    _bpe(c)
    c.text.vocabulary.kind = "unigram"


def _bytes(c: ConfigDict) -> None:
    _bpe(c)
    c.text.kind = "bytes"
    c.data.symbols = 1024


def _hat(c: ConfigDict) -> None:
    c.text.kind = "byte_units"
    c.model = byte_unit_lm()
    c.model.stage.backbone = transformer(D=192, L=6, H=6, K=6, N=32, F=512, final_norm="none")
    c.model.stage.encoder = local("tiny")
    c.model.stage.decoder = local("tiny", final_norm="rms")
    c.data.symbols = 1024


def _tiny(c: ConfigDict) -> None:
    if c.model.kind == "token_lm":
        c.model.backbone = backbone("tiny")
    else:
        c.model.stage.backbone = backbone("tiny", final_norm="none")


def _losses(runs: list[str], **weights: float):
    def set_losses(c: ConfigDict) -> None:
        c.objective = distillation(next_symbol=1.0, **weights)
        first, *others = runs
        c.objective.teacher.update(run=first, symbols=320, units=256)
        with c.objective.unlocked():
            for place, run in zip(PLACES[1:], others, strict=False):
                c.objective.teachers[place] = further_teacher(run=run, symbols=320, units=256)

    return set_losses
