"""Trains the arms of `configs/family.py` at equal compute on the same bytes, and compares them.

python experiments/family.py --text=english --data='jsonl:DIR/english/{split}.jsonl.xz'
python experiments/family.py --text=khmer --data='jsonl:DIR/help/km.{split}.jsonl.xz' --like=english

What is there already is not run again. Speeds are measured last, all arms in turn; to repeat that on a machine that
does nothing else, give `--rounds` once more.
"""

from pathlib import Path

from absl import flags

from lexitok.analysis import read_run, write_comparison
from lexitok.analysis.arm_speeds import measure_arms, speeds_table
from lexitok.analysis.equal_flops import solve_shape
from lexitok.analysis.family import Plan, arms_of, best_rate, entropy_run, run_arm
from lexitok.config_files import load_config, load_module, override
from lexitok.runner import run

TEXT = flags.DEFINE_string("text", "english", "Name of the text, one of those in configs/family.py.")
DATA = flags.DEFINE_string("data", None, "Source of the text.", required=True)
ARMS = flags.DEFINE_list("arms", [], "Arms to run; all if not given.")
OUT = flags.DEFINE_string("out", "runs/family", "Directory; runs are in TEXT/ARM.")
LIKE = flags.DEFINE_string("like", None, "A text whose best learning rates are taken instead of a sweep.")
RATES = flags.DEFINE_list("rates", ["0.004", "0.008", "0.016"], "Learning rates of the sweep.")
SWEEP = flags.DEFINE_integer("sweep_bytes", 300_000, "Raw bytes of a run of the sweep.")
BYTES = flags.DEFINE_integer("bytes", 1_200_000, "Raw bytes of a longer run.")
SEEDS = flags.DEFINE_integer("seeds", 1, "Longer runs of each arm.")
PROBE = flags.DEFINE_integer("probe_bytes", 50_000, "Bytes of the robustness probe.")
ROUNDS = flags.DEFINE_integer("rounds", 3, "Measurements of each arm's speed; 0: none.")
SOLVE = flags.DEFINE_bool("solve", False, "Only print the shapes at which the arms cost the same (SHAPES).")
SET = flags.DEFINE_multi_string("set", [], "KEY=VALUE, a change to every config.")

FAMILY = load_module(Path("configs/family.py"))


def main() -> None:
    out = Path(OUT.value) / TEXT.value
    arms = arms_of(FAMILY.ARMS, ARMS.value)
    changes = [f"data.source={DATA.value}", *SET.value]
    if SOLVE.value:
        return _solve(arms, changes)
    runs = []
    for arm in arms:
        asked = [f"model.stage.router.run={entropy_run(out, changes)}"] if arm == "blt" else []

        def make(arm: str = arm, more: tuple[str, ...] = tuple(asked)):
            config = load_config(f"configs/family.py:{arm},{TEXT.value}")
            override(config, [*changes, *more])
            return config

        rates = (best_rate(Path(OUT.value) / LIKE.value / arm),) if LIKE.value else tuple(map(float, RATES.value))
        plan = Plan(out, SWEEP.value, BYTES.value, rates, SEEDS.value, PROBE.value)
        runs += run_arm(make, arm, plan)
    if ROUNDS.value:
        speeds = speeds_table(measure_arms(runs[:: SEEDS.value], rounds=ROUNDS.value))
        (out / "speeds.md").write_text(speeds, encoding="utf-8")
        print(speeds)
    print(write_comparison([read_run(run.path) for run in runs], out / "compare"))


def _solve(arms: list[str], changes: list[str]) -> None:
    for arm in arms:
        config = FAMILY.unshaped(arm)
        override(config, changes)
        print(f'    ("{arm}", "{TEXT.value}"): {solve_shape(config, FAMILY.FLOPS_PER_BYTE)},', flush=True)


if __name__ == "__main__":
    run(main)
