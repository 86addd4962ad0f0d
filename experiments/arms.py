"""Trains all arms of a config file in the same way on the same bytes, and compares them.

python experiments/arms.py --config=configs/family.py --variant=english --data='jsonl:DIR/english/{split}.jsonl.xz'
python experiments/arms.py --config=configs/family.py --variant=khmer --data='jsonl:DIR/help/km.{split}.jsonl.xz' \
    --like=english

A config file has arms where it has `ARMS`, names of variants. What is there already is not run again. Speeds are
measured last, all arms in turn; to repeat that on a machine that does nothing else, run the same command once more.
"""

from pathlib import Path

from absl import flags

from lexitok.config.files import load_module, override
from lexitok.config.flags import run

CONFIG = flags.DEFINE_string("config", "configs/family.py", "File with the arms.")
VARIANT = flags.DEFINE_string("variant", "english", "What follows an arm's name, as 'english' in configs/family.py.")
DATA = flags.DEFINE_string("data", None, "Source of the text.", required=True)
ARMS = flags.DEFINE_list("arms", [], "Arms to run; all if not given.")
OUT = flags.DEFINE_string("out", "runs/arms", "Directory; runs are in NAME/VARIANT/ARM.")
LIKE = flags.DEFINE_string("like", None, "A variant whose best learning rates are taken instead of a sweep.")
RATES = flags.DEFINE_list("rates", ["0.008", "0.016", "0.032"], "Learning rates of the sweep.")
SWEEP = flags.DEFINE_integer("sweep_bytes", 300_000, "Raw bytes of a run of the sweep.")
BYTES = flags.DEFINE_integer("bytes", 1_200_000, "Raw bytes of a longer run.")
SEEDS = flags.DEFINE_integer("seeds", 1, "Longer runs of each arm.")
PROBE = flags.DEFINE_integer("probe_bytes", 50_000, "Bytes of the robustness probe.")
ROUNDS = flags.DEFINE_integer("rounds", 3, "Measurements of each arm's speed; 0: none.")
SOLVE = flags.DEFINE_bool("solve", False, "Only print the shapes at which the arms cost the same (SHAPES).")
SET = flags.DEFINE_multi_string("set", [], "KEY=VALUE, a change to every config.")


def main() -> None:
    from lexitok.analysis import read_run, write_comparison
    from lexitok.analysis.arm_runs import Plan, arms_of, best_rate, config_maker, run_arm
    from lexitok.analysis.arm_speeds import measure_arms, speeds_table
    from lexitok.analysis.equal_flops import cost

    module = load_module(Path(CONFIG.value))
    arms = arms_of(module.ARMS, ARMS.value)
    changes = [f"data.source={DATA.value}", *SET.value]
    if SOLVE.value:
        return _solve(module, arms, changes)
    base = Path(OUT.value) / Path(CONFIG.value).stem
    out = base / VARIANT.value
    runs = []
    for arm in arms:
        make = config_maker(f"{CONFIG.value}:{arm},{VARIANT.value}", changes, out)
        rates = (best_rate(base / LIKE.value / arm),) if LIKE.value else tuple(map(float, RATES.value))
        step = cost(make()).bytes_per_step
        plan = Plan(out, SWEEP.value / step, BYTES.value / step, rates, SEEDS.value, PROBE.value)
        runs += run_arm(make, arm, plan)
    if ROUNDS.value:
        speeds = speeds_table(measure_arms(runs[:: SEEDS.value], rounds=ROUNDS.value))
        (out / "speeds.md").write_text(speeds, encoding="utf-8")
        print(speeds)
    print(write_comparison([read_run(run.path) for run in runs], out / "compare"))


def _solve(module, arms: list[str], changes: list[str]) -> None:
    from lexitok.analysis.equal_flops import solve_shape

    for arm in arms:
        config = module.unshaped(arm)
        override(config, changes)
        print(f'    ("{arm}", "{VARIANT.value}"): {solve_shape(config, module.FLOPS_PER_BYTE)},', flush=True)


if __name__ == "__main__":
    run(main)
