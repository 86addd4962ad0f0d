"""Training that goes on from another run with settings of its own: a short one after a transfer, above all.

    python experiments/transfer.py --run=runs/base --tokenizer=new.model --workdir=runs/moved
    python experiments/train.py --config=configs/continued.py:runs/moved,distilled --workdir=runs/distilled
    python experiments/train.py --config=configs/continued.py:runs/distilled --workdir=runs/continued

What stands first is the run: model, text, data and tokenizer are its own. Variants after it say what is trained: `all`
(the default); `tables`, those that symbols enter and leave by, with the backbone as it is; `rows`, of these only the
rows that the transfer has made; `distilled`, these rows too, so that hidden states are those which the model had before
the transfer (arXiv 2505.20133); `alm` everything, so that stretches of text are as likely as they were to the model
before the transfer, beside the nats of the text (arXiv 2503.20083).

Rates and lengths are our own, for a small model. The schedule begins anew; so does the place in the data, with another
seed, and therefore in another order.
"""

from pathlib import Path

from ml_collections import ConfigDict

from lexitok.config import default_config, distillation, token_distillation
from lexitok.config.files import ConfigError, variant
from lexitok.runs.checkpoints.files import VOCABULARY, saved_steps, step_folder
from lexitok.runs.checkpoints.reading import read_record
from lexitok.runs.run import read_config


def get_config(arg: str = "") -> ConfigDict:
    run, _, variants = arg.partition(",")
    if not run:
        raise ConfigError("say which run goes on: --config=configs/continued.py:RUN or configs/continued.py:RUN,rows")
    c = read_config(Path(run))
    _begin(c, run)
    return variant(c, variants, all=_all, tables=_tables, rows=_rows, distilled=_distilled, alm=_alm)


def _begin(c: ConfigDict, run: str) -> None:
    """The run's own config, of a start from it."""
    c.name = f"{c.name}-continued"
    c.seed += 1
    c.train.start.update(run=run, part="", at="")
    if (Path(run) / VOCABULARY).exists():
        c.text.vocabulary.path = str(Path(run) / VOCABULARY)
    c.objective = default_config().objective
    c.optimizer.frozen, c.optimizer.rows = (), ""
    c.optimizer.lr, c.optimizer.schedule, c.optimizer.warmup = 3e-4, "cosine", 20
    c.train.steps, c.train.ema = 200, 0.0
    c.train.log_every, c.train.eval_every, c.train.checkpoint_every = 10, 100, 100


def _all(c: ConfigDict) -> None:
    del c  # as it is


def _tables(c: ConfigDict) -> None:
    c.name += "-tables"
    c.optimizer.frozen = ("backbone",)
    c.optimizer.lr = 1e-3


def _rows(c: ConfigDict) -> None:
    _tables(c)
    c.name = c.name.removesuffix("-tables") + "-rows"
    c.optimizer.rows = "made"


def _distilled(c: ConfigDict) -> None:
    _rows(c)
    c.name = c.name.removesuffix("-rows") + "-distilled"
    c.objective = token_distillation()
    c.objective.teacher.update(run=_before_transfer(c.train.start.run), shares=("backbone",))
    c.objective.teacher.symbols = 3 * c.data.symbols // 2  # the old tokenizer may be the coarser one by as much
    c.objective.next_token_weight = 1.0


def _alm(c: ConfigDict) -> None:
    c.name += "-alm"
    c.objective = distillation(alm=1.0, next_symbol=1.0)
    c.objective.teacher.run = _before_transfer(c.train.start.run)
    c.objective.teacher.symbols = 3 * c.data.symbols // 2


def _before_transfer(run: str) -> str:
    steps = saved_steps(run)
    source = read_record(step_folder(run, steps[-1])).metadata.get("transferred from") if steps else None
    if source is None:
        raise ConfigError(f"no transfer wrote {run}: there is no model under another tokenizer to learn from")
    return source
