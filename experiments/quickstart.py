"""The first run: trains a HAT and a subword model on the same text, compares them, and lets both write.

python experiments/quickstart.py --out=runs/quickstart
"""

from pathlib import Path

from absl import flags

from lexitok.config.files import load_config, override
from lexitok.config.flags import run

OUT = flags.DEFINE_string("out", "runs/quickstart", "Directory for the runs and their comparison.")
SET = flags.DEFINE_multi_string("set", [], "KEY=VALUE, a change to both configs.")

NEXT = """What to type next:
  .venv/bin/python experiments/generate.py --run={out}/hat --prompt='import '
  .venv/bin/python experiments/train.py --config=configs/hat_v2.py:cpu --config.train.steps=2000 --workdir=runs/hat_v2
  .venv/bin/python experiments/train.py --config=configs/hnet.py:cpu --config.data.source='text:DIR/**/*.txt' \\
      --workdir=runs/hnet
  .venv/bin/python experiments/compare.py runs/hat_v2 runs/hnet --out=runs/compare
and open experiments/notebooks/inspect_run.ipynb in any Jupyter with LEXITOK_RUN={out}/hat"""


def main() -> None:
    from lexitok.analysis import read_run, write_comparison
    from lexitok.analysis.samples import write_samples
    from lexitok.training.loop import train

    out = Path(OUT.value)
    runs, samples = [], []
    for name in ("hat", "subword"):
        config = load_config(f"configs/quickstart.py:{name}")
        override(config, SET.value)
        train(config, out / name)
        samples.append(f"=== {name}\n{write_samples(out / name)}")
        runs.append(read_run(out / name))
    print(*samples, sep="\n")
    print(write_comparison(runs, out / "compare"))
    print(NEXT.format(out=out))


if __name__ == "__main__":
    run(main)
