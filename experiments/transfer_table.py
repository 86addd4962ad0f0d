"""Gives a model new tokenizers in many ways, and measures all of them on the same text: one table.

python experiments/transfer_table.py --run=runs/gemma --out=runs/transfers \
    --tokenizer=tekken=tekken.json --tokenizer=mistral=tokenizer.model.v3 \
    --method=mean --method='last / first' --source=german='jsonl:data/de.{split}.jsonl.xz'

What is measured is kept in `measurements.jsonl` as it comes: the same command goes on where it was stopped, and further
ways, seeds and tokenizers are added to it. With `--pool` the table is of several models, as of one config with other
seeds, each measured by a command of its own: `--pool=runs/transfers_1` adds what is in that folder.
"""

from pathlib import Path

from absl import flags

from lexitok.analysis.transfer_arms import MEASUREMENTS, Comparison, Measurements, compare_transfers
from lexitok.analysis.transfer_tables import transfer_table
from lexitok.config.flags import named_values, run
from lexitok.transfer.materials import Materials
from lexitok.transfer.methods import DEFAULT

RUN = flags.DEFINE_string("run", None, "Directory of a run of a subword model.", required=True)
OUT = flags.DEFINE_string("out", None, "Folder of what is measured.", required=True)
TOKENIZER = flags.DEFINE_multi_string("tokenizer", [], "NAME=PATH of a new tokenizer, once for each.")
METHOD = flags.DEFINE_multi_string("method", [DEFAULT], "How symbols enter, or `IN / OUT`, once for each way.")
SOURCE = flags.DEFINE_multi_string("source", [], "NAME=SOURCE of documents, once for each.")
VECTORS = flags.DEFINE_multi_string("vectors", [], "NAME=RUN, a run that has the tokenizer of that name; or `train`.")
TEXT = flags.DEFINE_string("text", None, "Source of documents that vectors are trained on and tokens are counted in.")
HYPERNETWORK = flags.DEFINE_string("hypernetwork", None, "Run of configs/hypernetwork.py, for the method of that name.")
BYTES = flags.DEFINE_integer("bytes", 100_000, "Of each text's whole documents.")
SEEDS = flags.DEFINE_integer("seeds", 1, "How often each is trained on.")
STEPS = flags.DEFINE_integer("steps", 0, "Also after a continued training of so many steps.")
LR = flags.DEFINE_float("lr", 1e-3, "Highest rate of that training.")
POOL = flags.DEFINE_multi_string("pool", [], "Folders of what was measured of other models: the table is of all.")
QUESTIONS = flags.DEFINE_integer("questions", 100, "On digits, of each task.")


def main() -> None:
    pairs = [method.partition("/") for method in METHOD.value]
    tokenizers, vectors = named_values("tokenizer", TOKENIZER.value), named_values("vectors", VECTORS.value)
    text, net = TEXT.value, HYPERNETWORK.value
    comparison = Comparison(
        run=Path(RUN.value),
        tokenizers={name: Path(path) for name, path in tokenizers.items()},
        methods=[(entering.strip(), leaving.strip()) for entering, _, leaving in pairs],
        sources=named_values("source", SOURCE.value),
        max_bytes=BYTES.value,
        materials={name: Materials(vectors=vectors.get(name), text=text, hypernetwork=net) for name in tokenizers},
        seeds=SEEDS.value,
        steps=STEPS.value,
        lr=LR.value,
        questions=QUESTIONS.value,
    )
    measurements = compare_transfers(comparison, Path(OUT.value))
    others = (Measurements(Path(folder) / MEASUREMENTS).of for folder in POOL.value)
    text = transfer_table(measurements, *others)
    (Path(OUT.value) / "table.md").write_text(text)
    print(text)


if __name__ == "__main__":
    run(main)
