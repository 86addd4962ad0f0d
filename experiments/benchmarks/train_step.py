"""Speed of the training step of a HAT and a subword-sized TokenLM on the device at hand, after warm-up.

python experiments/benchmarks/train_step.py                      # small models, for CPUs
python experiments/benchmarks/train_step.py --size=gpu1 --steps=20

Prints, for each: raw bytes a second (symbols that are full rows of random text), model-FLOPs utilisation against the
vendor's peak, or against a large matrix product timed in the same run where there is no peak on file, and peak memory.
Times are the median over steps, with the quartiles.
"""

from absl import flags

from lexitok.analysis.step_speed import measure_step, report
from lexitok.config.files import load_config, override
from lexitok.config.flags import run

SIZE = flags.DEFINE_enum("size", "cpu", ("cpu", "gpu1", "pod"), "Variant of the configs.")
CONFIGS = flags.DEFINE_multi_string("benchmark", ["hat_v2", "subword"], "Names of files in configs/.")
SET = flags.DEFINE_multi_string("set", [], "KEY=VALUE, a change to all configs.")
STEPS = flags.DEFINE_integer("steps", 10, "Steps that are timed, after two that are not.")


def main() -> None:
    for name in CONFIGS.value:
        config = load_config(f"configs/{name}.py:{SIZE.value}")
        override(config, SET.value)
        print(report(name, measure_step(config, steps=STEPS.value)))


if __name__ == "__main__":
    run(main)
