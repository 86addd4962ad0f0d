"""Bits per symbol by position in the context, and the perplexity gap to the first run.

python experiments/probes/positions.py --run=runs/learned --run=runs/lexinvariant --out=runs/positions.png

The runs have to read the same symbols. Of targets whose symbol is new to the row, a lexinvariant model cannot know
which it is: they are counted on their own, too.
"""

from absl import flags

from lexitok.config.flags import run

RUN = flags.DEFINE_multi_string("run", None, "Directory of a run; the first is the reference.", required=True)
SOURCE = flags.DEFINE_string("source", None, "Source of the documents; that of the first run if not given.")
SPLIT = flags.DEFINE_string("split", "validation", "Split of the source.")
BYTES = flags.DEFINE_integer("bytes", 1_000_000, "Whole documents up to so many bytes; 0: all.")
SYMBOLS = flags.DEFINE_integer("symbols", 512, "Symbols of a row; shorter documents are passed over.")
EACH = flags.DEFINE_integer("each", 8, "Rows of a document, at most.")
ROWS = flags.DEFINE_integer("rows", 16, "Rows of a batch.")
BINS = flags.DEFINE_integer("bins", 16, "Bins of positions.")
SEED = flags.DEFINE_integer("seed", 0, "Of what models draw.")
OUT = flags.DEFINE_string("out", "runs/positions.png", "File for the plot.")


def main() -> None:
    from lexitok.analysis import save
    from lexitok.analysis.probe_reports import positions_report
    from lexitok.analysis.subjects import open_subjects

    subjects, documents = open_subjects(RUN.value, source=SOURCE.value, split=SPLIT.value, max_bytes=BYTES.value)
    shape = {"symbols": SYMBOLS.value, "each": EACH.value, "rows": ROWS.value}
    report = positions_report(subjects, documents, bins=BINS.value, seed=SEED.value, **shape)
    print(report.text)
    print(save(report.figure, OUT.value))


if __name__ == "__main__":
    run(main)
