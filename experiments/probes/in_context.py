"""LookUp and Permutation: tasks that can be solved from the prompt alone.

python experiments/probes/in_context.py --run=runs/learned --run=runs/lexinvariant --out=runs/in_context.png

The prompts are described in `lexitok/evals/in_context.py`; all runs with one vocabulary get the same.
"""

from absl import flags

from lexitok.config.flags import run

RUN = flags.DEFINE_multi_string("run", None, "Directory of a run.", required=True)
SOURCE = flags.DEFINE_string("source", None, "Source whose frequent symbols are used; the first run's if not given.")
SPLIT = flags.DEFINE_string("split", "validation", "Split of the source.")
BYTES = flags.DEFINE_integer("bytes", 1_000_000, "Whole documents up to so many bytes; 0: all.")
CONTENT = flags.DEFINE_integer("content", 64, "Symbols that prompts are made of.")
PAIRS = flags.DEFINE_multi_integer("pairs", [1, 2, 4, 8, 16], "Pairs in a LookUp prompt.")
SIZE = flags.DEFINE_integer("size", 4, "Symbols that are permuted.")
EXAMPLES = flags.DEFINE_multi_integer("examples", [1, 2, 4, 8], "Examples in a Permutation prompt.")
PROMPTS = flags.DEFINE_integer("prompts", 512, "Prompts of each kind.")
ROWS = flags.DEFINE_integer("rows", 64, "Rows of a batch.")
SEED = flags.DEFINE_integer("seed", 0, "Of the prompts, and of what models draw.")
OUT = flags.DEFINE_string("out", "runs/in_context.png", "File for the plot.")


def main() -> None:
    from lexitok.analysis import save
    from lexitok.analysis.probe_reports import in_context_report
    from lexitok.analysis.subjects import open_subjects

    subjects, documents = open_subjects(RUN.value, source=SOURCE.value, split=SPLIT.value, max_bytes=BYTES.value)
    report = in_context_report(
        subjects,
        documents,
        content=CONTENT.value,
        pairs=PAIRS.value,
        size=SIZE.value,
        examples=EXAMPLES.value,
        prompts=PROMPTS.value,
        rows=ROWS.value,
        seed=SEED.value,
    )
    print(report.text)
    print(save(report.figure, OUT.value))


if __name__ == "__main__":
    run(main)
