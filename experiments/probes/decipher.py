"""Whether models decipher substitution ciphers: a probe of their states names the true symbols.

python experiments/probes/decipher.py --run=runs/lexinvariant --run=runs/learned --out=runs/decipher.png

Every row is enciphered with a permutation of its own; the probe is trained on the rows of some documents and tested on
those of the others. Huang et al. (arXiv 2305.16349) recover 99.6 % of the key with a model of 150M parameters from 512
characters.
"""

from absl import flags

from lexitok.analysis import save
from lexitok.analysis.probe_reports import decipher_report
from lexitok.analysis.subjects import open_subjects
from lexitok.config.flags import run
from lexitok.evals.decipher import CIPHERS

RUN = flags.DEFINE_multi_string("run", None, "Directory of a run.", required=True)
SOURCE = flags.DEFINE_string("source", None, "Source of the documents; that of the first run if not given.")
SPLIT = flags.DEFINE_string("split", "validation", "Split of the source.")
BYTES = flags.DEFINE_integer("bytes", 500_000, "Whole documents up to so many bytes; 0: all.")
SYMBOLS = flags.DEFINE_integer("symbols", 512, "Symbols of a row; shorter documents are passed over.")
EACH = flags.DEFINE_integer("each", 16, "Rows of a document, at most.")
ROWS = flags.DEFINE_integer("rows", 16, "Rows of a batch.")
LAYER = flags.DEFINE_integer("layer", None, "Layer whose output is probed; the last, normed, if not given.")
CIPHER = flags.DEFINE_enum("cipher", "substitution", CIPHERS, "What is done to the text.")
STEPS = flags.DEFINE_integer("steps", 2000, "Steps that the probe is trained for.")
LR = flags.DEFINE_float("lr", 1e-3, "Learning rate of the probe.")
WIDTH = flags.DEFINE_integer("width", 512, "Width of the probe's hidden layer.")
SEED = flags.DEFINE_integer("seed", 0, "Of the ciphers, the split and the probe.")
OUT = flags.DEFINE_string("out", "runs/decipher.png", "File for the plot.")


def main() -> None:
    subjects, documents = open_subjects(RUN.value, source=SOURCE.value, split=SPLIT.value, max_bytes=BYTES.value)
    shape = {"symbols": SYMBOLS.value, "each": EACH.value, "rows": ROWS.value}
    training = {"steps": STEPS.value, "lr": LR.value, "width": WIDTH.value}
    what = {"layer": LAYER.value, "cipher": CIPHER.value, "seed": SEED.value}
    report = decipher_report(subjects, documents, **shape, **what, **training)
    print(report.text)
    print(save(report.figure, OUT.value))


if __name__ == "__main__":
    run(main)
