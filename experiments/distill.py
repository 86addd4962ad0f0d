"""Losses between models of different tokenizers under one recipe: for each student one table.

python experiments/distill.py --teacher=runs/small_base --student=bytes,tiny --student=unigram,tiny \
    --loss=text --loss=alm --loss=alm+hidden_states/gradmag --steps=200 --seeds=3

A student is a variant of configs/distill.py; a loss is added to the nats of the text, which stand alone as `text`.
Each gets the same data, steps and search of a learning rate, and `text` also as many FLOPs as the dearest loss takes.
What is there already is not run again. Where the teacher has learnt the source `markov` (configs/markov.py), whose
probabilities are known, a table says what each student has yet to learn of it.
"""

from pathlib import Path

from absl import flags

from lexitok.config.flags import run

TEACHER = flags.DEFINE_string("teacher", None, "Directory of the teacher's run; several, joined by +.", required=True)
STUDENT = flags.DEFINE_multi_string("student", ["bytes,tiny"], "Variants of configs/distill.py, once for each student.")
LOSS = flags.DEFINE_multi_string("loss", ["text", "alm"], "As `alm`, `alm+hidden_states/gradmag`, once for each.")
OUT = flags.DEFINE_string("out", "runs/distill", "Directory; runs are in STUDENT/LOSS.")
STEPS = flags.DEFINE_integer("steps", 1000, "Of each run.")
SWEEP = flags.DEFINE_integer("sweep_steps", 100, "Of each run of the search for a rate.")
RATES = flags.DEFINE_list("rates", ["0.002", "0.004", "0.008"], "That are tried; of one, nothing is searched.")
SEEDS = flags.DEFINE_integer("seeds", 1, "Runs of each loss.")
EQUAL = flags.DEFINE_bool("equal_flops", True, "Also the text alone, for as many FLOPs as the dearest loss.")
SET = flags.DEFINE_multi_string("set", [], "KEY=VALUE, a change to every config.")


def main() -> None:
    from lexitok.analysis import write_comparison
    from lexitok.analysis.arm_runs import Plan
    from lexitok.analysis.distilled import above_source, arm_folder, compare_losses

    for student in STUDENT.value:
        out = arm_folder(Path(OUT.value), student)
        plan = Plan(out, SWEEP.value, STEPS.value, tuple(map(float, RATES.value)), SEEDS.value, 0)
        runs = compare_losses(TEACHER.value, student, LOSS.value, plan, changes=SET.value, equal=EQUAL.value)
        print(write_comparison(runs, out / "compare"))
        if (known := above_source(runs)) is not None:
            print(known)


if __name__ == "__main__":
    run(main)
