"""What the layers of models make of fixed codes: bits of ids that a linear probe finds, and neighbours of symbols.

python experiments/probes/layers.py --reference=runs/learned --run=runs/learned --run=runs/binary --out=runs/layers.png

Neighbours after each layer are compared with those in the reference's learned table (`--reference_layer=0`) or after
one of its layers. All runs have to read the same symbols.
"""

from absl import flags

from lexitok.config.flags import run

RUN = flags.DEFINE_multi_string("run", None, "Directory of a run.", required=True)
REFERENCE = flags.DEFINE_string(
    "reference", None, "Directory of the run that neighbours are compared with.", required=True
)
SOURCE = flags.DEFINE_string("source", None, "Source of the documents; that of the reference if not given.")
SPLIT = flags.DEFINE_string("split", "validation", "Split of the source.")
BYTES = flags.DEFINE_integer("bytes", 500_000, "Whole documents up to so many bytes; 0: all.")
SYMBOLS = flags.DEFINE_integer("symbols", 512, "Symbols of a row; shorter documents are passed over.")
EACH = flags.DEFINE_integer("each", 16, "Rows of a document, at most.")
ROWS = flags.DEFINE_integer("rows", 16, "Rows of a batch.")
MOST = flags.DEFINE_integer("most", 64, "Positions of a symbol that the probe for bits sees, at most.")
LEAST = flags.DEFINE_integer("least", 10, "Positions of a symbol below which it has no neighbours.")
NEIGHBOURS = flags.DEFINE_integer("neighbours", 10, "Neighbours that are compared.")
LAYER = flags.DEFINE_integer("reference_layer", 0, "Of the reference; 0: what enters its first layer.")
SEED = flags.DEFINE_integer("seed", 0, "Of what is held out, and of what models draw.")
OUT = flags.DEFINE_string("out", "runs/layers.png", "File for the plot.")


def main() -> None:
    from lexitok.analysis import save
    from lexitok.analysis.probe_reports import layers_report
    from lexitok.analysis.subjects import open_subjects

    text = {"source": SOURCE.value, "split": SPLIT.value, "max_bytes": BYTES.value}
    (reference, *subjects), documents = open_subjects([REFERENCE.value, *RUN.value], **text)
    shape = {"symbols": SYMBOLS.value, "each": EACH.value, "rows": ROWS.value}
    places = {"most": MOST.value, "least": LEAST.value, "seed": SEED.value}
    neighbours = {"k": NEIGHBOURS.value, "reference_layer": LAYER.value}
    report = layers_report(subjects, reference, documents, **shape, **places, **neighbours)
    print(report.text)
    print(save(report.figure, OUT.value))


if __name__ == "__main__":
    run(main)
