"""Speed of the training step of a HAT and a subword-sized TokenLM on the device at hand, after warm-up.

python experiments/benchmarks/train_step.py                      # small models, for CPUs
python experiments/benchmarks/train_step.py --size=gpu1 --steps=20
python experiments/benchmarks/train_step.py --benchmark='distill:runs/small_base,bytes' \
    --benchmark='distill:runs/small_base,bytes objective.teacher.cache=runs/taught'

Prints, for each: raw bytes a second (symbols that are full rows of random text), model-FLOPs utilisation against the
vendor's peak, or against a large matrix product timed in the same run where there is no peak on file, and peak memory.
Times are the median over steps, with the quartiles.
"""

from absl import flags

from lexitok.analysis.step_speed import measure_step, report
from lexitok.config.files import load_config, override
from lexitok.config.flags import run

SIZE = flags.DEFINE_enum("size", "cpu", ("cpu", "gpu1", "pod"), "Variant of the configs.")
CONFIGS = flags.DEFINE_multi_string(
    "benchmark", ["hat_v2", "subword"], "A file in configs/, `:VARIANT` if not --size, and KEY=VALUE, changes to it."
)
SET = flags.DEFINE_multi_string("set", [], "KEY=VALUE, a change to all configs.")
STEPS = flags.DEFINE_integer("steps", 10, "Steps that are timed, after two that are not.")


def main() -> None:
    for spec in CONFIGS.value:
        name, *changes = spec.split()
        file, _, variant = name.partition(":")
        config = load_config(f"configs/{file}.py:{variant or SIZE.value}")
        override(config, [*SET.value, *changes])
        print(report(spec, measure_step(config, steps=STEPS.value)))


if __name__ == "__main__":
    run(main)
