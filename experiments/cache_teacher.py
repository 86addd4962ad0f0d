"""Keeps what a teacher predicts of the training text, so that it need not run beside its students.

python experiments/cache_teacher.py --config=configs/distill.py:runs/small_base,bytes --out=runs/taught
python experiments/train.py --config=configs/distill.py:runs/small_base,bytes --workdir=runs/student \
    --config.objective.teacher.cache=runs/taught

All students of one teacher on one text can read it, whatever their tokenizers. A command that was stopped goes on where
it was; several with `--share=NUMBER,COUNT` make parts side by side.
"""

import time
from pathlib import Path

from absl import flags

from lexitok.config.flags import define_config, run

CONFIG = define_config()
OUT = flags.DEFINE_string("out", None, "Directory for the predictions.", required=True)
TOP_K = flags.DEFINE_integer("top_k", 64, "Logits that are kept of each token.", lower_bound=1)
SHARE = flags.DEFINE_list("share", ["0", "1"], "NUMBER,COUNT: the part of the files that this command makes.")


@flags.validator("share", message="--share=NUMBER,COUNT: COUNT parts, of which the first is number 0")
def _share(value: list[str]) -> bool:
    return len(value) == 2 and all(map(str.isdecimal, value)) and int(value[0]) < int(value[1])


def main() -> None:
    config = CONFIG.load()

    import jax

    from lexitok.sharding import make_mesh
    from lexitok.training.keeping import keep_predictions_of

    number, count = map(int, SHARE.value)
    documents, symbols, began = 0, 0, time.perf_counter()
    with jax.set_mesh(make_mesh()):
        made = keep_predictions_of(config, Path(OUT.value), top_k=TOP_K.value, share=(number, count))
        for of_file in made:
            documents, symbols = documents + of_file[0], symbols + of_file[1]
            rate = symbols / (time.perf_counter() - began)
            print(f"{documents} documents, {symbols} symbols, {rate:.0f} symbols/s", flush=True)
    print(f"{OUT.value}: complete" if count == 1 else f"{OUT.value}: part {number} of {count} is complete")


if __name__ == "__main__":
    run(main)
