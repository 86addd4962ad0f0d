"""Reads texts in tokens that are merged as they ask for: sequence length against bits per byte, a table and a plot.

python experiments/dynamic.py --run=runs/small_base/seed0 --out=runs/dynamic --merges=50,200,800 \
    --source='jsonl:../shared/data/help/en.{split}.jsonl.xz' --source='jsonl:../shared/data/help/de.{split}.jsonl.xz' \
    --maker=mean --maker=hypernetwork=runs/hypernetwork

By `--reach=enter`, what comes before the part that is scored is read in merged tokens, as a prompt is; by
`--reach=enter_and_leave` all is, and predicted. Merges of the text itself have to be told to the reader then, which
`with merges` counts; those of `--scope=given` are found in the training split.
"""

from pathlib import Path

from absl import flags

from lexitok.analysis import read_run
from lexitok.analysis.dynamic import sweep, write_points
from lexitok.config.flags import run
from lexitok.interfaces.extended import REACHES
from lexitok.transfer.dynamic.batches import SCOPES

RUN = flags.DEFINE_string("run", None, "Directory of a run of a subword model.", required=True)
OUT = flags.DEFINE_string("out", "runs/dynamic", "Folder for dynamic.md and dynamic.png.")
SOURCE = flags.DEFINE_multi_string("source", None, "Source of documents, for instance one a language.", required=True)
SPLIT = flags.DEFINE_string("split", "validation", "Split of the sources that is scored.")
MERGES = flags.DEFINE_list("merges", ["50", "200", "800"], "How many merges; none is done in any case.")
MAKER = flags.DEFINE_multi_string("maker", ["mean"], "Of rows: a method of transfer, or hypernetwork=RUN.")
REACH = flags.DEFINE_enum("reach", "enter", REACHES, "Whether merged tokens are only read, or predicted too.")
SCOPE = flags.DEFINE_enum("scope", "sequence", SCOPES, "What merges are found in.")
WORDS = flags.DEFINE_string("words", "tokenizer", "That merges stay within: see lexitok.text.merging.words.")
OVERLAP = flags.DEFINE_float("overlap", 0.75, "Fraction of a window that is context.")
BYTES = flags.DEFINE_integer("bytes", 200_000, "Whole documents of each source up to so many bytes; 0: all.")


def main() -> None:
    points = sweep(
        read_run(RUN.value),
        SOURCE.value,
        [int(count) for count in MERGES.value],
        MAKER.value,
        reach=REACH.value,
        scope=SCOPE.value,
        words=WORDS.value,
        overlap=OVERLAP.value,
        split=SPLIT.value,
        max_bytes=BYTES.value,
    )
    print(write_points(list(points), Path(OUT.value), f"{REACH.value}, merges: {SCOPE.value}"))


if __name__ == "__main__":
    run(main)
