"""Adds tokens to a model's vocabulary without training: learned from text by going on with its BPE, or a given list.

python experiments/add_tokens.py --run=runs/gemma --workdir=runs/gemma_de --count=1000 \
    --source='jsonl:data/de.{split}.jsonl.xz'
python experiments/add_tokens.py --run=runs/gemma --workdir=runs/gemma_names --tokens=names.txt --method_in=mean

Rows of tokens that stay are as they were, to the last bit. What is written is a run, as of experiments/transfer.py. The
report is printed: what was added, how long held-out text is, and the probability that the new tokens take.
"""

from typing import Any

from absl import flags

from lexitok.config.flags import run
from lexitok.text.adding.changes import PRUNED_IDS, WAYS, change_by_list, change_by_text
from lexitok.transfer.adding import Text, read_tokens, write_changed
from lexitok.transfer.materials import Materials
from lexitok.transfer.methods import METHODS
from lexitok.transfer.runs import open_subword

RUN = flags.DEFINE_string("run", None, "Directory of a run of a subword model.", required=True)
WORKDIR = flags.DEFINE_string("workdir", None, "Directory to be written; there must be nothing yet.", required=True)
TOKENS = flags.DEFINE_string("tokens", None, "File of tokens, one a line, or a list in JSON; not given: from text.")
WAY = flags.DEFINE_enum("way", WAYS[0], WAYS, "How listed tokens are added.")
SOURCE = flags.DEFINE_string("source", None, "Source of the text; not given: the run's own.")
SPLIT = flags.DEFINE_string("split", "train", "Split of the source that is learned from.")
BYTES = flags.DEFINE_integer("bytes", 0, "Whole documents of it up to so many bytes; 0: all.")
HELD_OUT = flags.DEFINE_string("held_out", "validation", "Split of the source that is measured.")
HELD_OUT_BYTES = flags.DEFINE_integer("held_out_bytes", 100_000, "Whole documents of it up to so many bytes; 0: all.")
COUNT = flags.DEFINE_integer("count", 1000, "Tokens to be learned.")
PRUNE = flags.DEFINE_integer("prune", 0, "Tokens to be taken out, those that the text uses least.")
IDS = flags.DEFINE_enum("pruned_ids", PRUNED_IDS[0], PRUNED_IDS, "What becomes of their ids.")
METHOD_IN = flags.DEFINE_string("method_in", "mean", f"How new symbols enter: {', '.join(METHODS)}.")
METHOD_OUT = flags.DEFINE_string("method_out", None, "How they leave, if by another table; not given: the same.")
VECTORS = flags.DEFINE_string("vectors", None, "Run under the new tokenizer, or a file, for methods that compare.")
MULTIPLE = flags.DEFINE_integer("multiple", 1, "The table's rows are rounded up to a multiple of it.")
SEED = flags.DEFINE_integer("seed", 0, "Of what methods draw at random.")
STEP = flags.DEFINE_integer("step", None, "Checkpoint of the run; not given: the newest.")


def main() -> None:
    opened = open_subword(RUN.value, STEP.value)
    if TOKENS.value:
        changed = change_by_list(opened.tokenizer, read_tokens(TOKENS.value), way=WAY.value)
    else:
        documents = Text(SOURCE.value, SPLIT.value, BYTES.value).documents(opened.config)
        limits = {"count": COUNT.value, "prune": PRUNE.value, "pruned_ids": IDS.value}
        changed = change_by_text(opened.tokenizer, documents, **limits)
    rows: dict[str, Any] = {flag.name: flag.value for flag in (METHOD_IN, METHOD_OUT, MULTIPLE, SEED)}
    rows["materials"] = Materials(vectors=VECTORS.value)
    held_out = Text(SOURCE.value, HELD_OUT.value, HELD_OUT_BYTES.value)
    print(write_changed(opened, WORKDIR.value, changed, held_out=held_out, **rows))


if __name__ == "__main__":
    run(main)
