"""Trains a model, evaluates it, and lets it write.

python experiments/train.py --config=configs/hat_v2.py:cpu --workdir=runs/hat_v2 --config.train.steps=500

Resumes if the directory has a checkpoint. On a pod, `tpu/run.sh` starts it on every host with --processes=auto.
"""

import json

from absl import flags

from lexitok.config.flags import define_config, run

CONFIG = define_config()
WORKDIR = flags.DEFINE_string("workdir", None, "Directory of the run.", required=True)
JOIN = flags.DEFINE_string("processes", "one", "How they find each other: one, auto, ADDRESS:PORT,COUNT,INDEX.")


def main() -> None:
    config = CONFIG.load()  # a mistake in it is said before what takes seconds to import

    import jax

    from lexitok.analysis.samples import write_samples
    from lexitok.training.loop import train
    from lexitok.training.processes import join

    join(JOIN.value)
    result = train(config, WORKDIR.value)
    if jax.process_count() == 1:
        print(write_samples(WORKDIR.value))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    run(main)
