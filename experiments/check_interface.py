"""Whether the vectors with which symbols enter a model tell them apart: collisions, norms, rank, nearest pairs.

python experiments/check_interface.py --run=runs/glyphs --out=runs/glyphs/collisions.txt
python experiments/check_interface.py --config=configs/interfaces.py:glyphs,subword --pairs=0
"""

from pathlib import Path
from typing import Any

from absl import flags

from lexitok.config.flags import define_config, run
from lexitok.data.encoders import Encoder

CONFIG = define_config()
RUN = flags.DEFINE_string("run", None, "Directory of a run; or --config, for a model that is not trained.")
SEED = flags.DEFINE_integer("seed", 0, "Of the row, for vectors that are drawn anew in each.")
PAIRS = flags.DEFINE_integer(
    "pairs", 10, "How many of the nearest pairs; 0: none, which is much faster.", lower_bound=0
)
OUT = flags.DEFINE_string("out", None, "File for the report with all groups of symbols that share a vector.")


@flags.multi_flags_validator(["run", "config"], message="give --run or --config, one of the two")
def _one_model(values: dict) -> bool:
    return bool(values["run"]) != bool(values["config"])


def load() -> tuple[Any, Encoder]:
    """The model that the flags name, and its encoder."""
    from lexitok.runs.load import load_model
    from lexitok.training.setup import make_setup

    if RUN.value:
        return load_model(RUN.value)
    setup = make_setup(CONFIG.load())
    return setup.init_model(), setup.encoder


def main() -> None:
    from lexitok.interfaces.checks import check_vectors, input_vectors, token_names

    model, encoder = load()
    vectors = input_vectors(model.interface, SEED.value)
    report = check_vectors(vectors, token_names(encoder.vocabulary.token_bytes), PAIRS.value)
    print(report.text(), end="")
    if OUT.value:
        Path(OUT.value).write_text(report.text(groups=None), encoding="utf-8")


if __name__ == "__main__":
    run(main)
