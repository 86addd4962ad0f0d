"""Gives a model a new tokenizer without training: rows of tokens that it has stay, the others are made of them.

python experiments/convert.py --source=gemma-3-270m.gguf --workdir=runs/gemma
python experiments/transfer.py --run=runs/gemma --tokenizer=tekken.json --workdir=runs/gemma_tekken
python experiments/evaluate.py --run=runs/gemma_tekken --source='text:books/*.txt' --split=validation
python experiments/convert.py --source=runs/gemma_tekken --workdir=gemma-tekken-hf

By vectors trained on text of the new tokenizer (FOCUS), on that of two languages (WECHSEL), by a parallel text
(Trans-Tokenization):

python experiments/transfer.py ... --method_in=neighbours --vectors=train --text='jsonl:de.{split}.jsonl.xz'
python experiments/transfer.py ... --vectors=train --text='jsonl:de.{split}.jsonl.xz' --dictionary=en-de.txt \
    --source_text='jsonl:en.{split}.jsonl.xz' --method_in=source_neighbours
python experiments/transfer.py ... --method_in=translated --parallel=en.train.jsonl.xz,de.train.jsonl.xz

What is written is a run, to be evaluated, converted for elsewhere, or trained on, with --config.train.start.run=RUN and
--config.text.vocabulary.path=RUN/vocabulary.model. With it come `transfer.md`, which is printed too, and
a line for each row that says what it is made of.
"""

from absl import flags

from lexitok.config.flags import named_values, run
from lexitok.transfer.flags import materials
from lexitok.transfer.methods import DEFAULT, METHODS
from lexitok.transfer.runs import transfer_run

RUN = flags.DEFINE_string("run", None, "Directory of a run of a subword model.", required=True)
TOKENIZER = flags.DEFINE_string("tokenizer", None, "File or directory of the new tokenizer.", required=True)
WORKDIR = flags.DEFINE_string("workdir", None, "Directory to be written; there must be nothing yet.", required=True)
METHOD_IN = flags.DEFINE_string("method_in", DEFAULT, f"How symbols enter that are new: {', '.join(METHODS)}.")
METHOD_OUT = flags.DEFINE_string("method_out", None, "How they leave, if by another table; not given: the same.")
SPECIALS = flags.DEFINE_multi_string("special", [], "NEW=OLD, spellings of specials that go together.")
MULTIPLE = flags.DEFINE_integer("multiple", 1, "The table's rows are rounded up to a multiple of it.")
SEED = flags.DEFINE_integer("seed", 0, "Of what methods draw at random.")
STEP = flags.DEFINE_integer("step", None, "Checkpoint of the run; not given: the newest.")
TEMPLATE = flags.DEFINE_string("template", "source", "Chat template: that of the source, of the target, or a file.")


def main() -> None:
    report = transfer_run(
        RUN.value,
        TOKENIZER.value,
        WORKDIR.value,
        method_in=METHOD_IN.value,
        method_out=METHOD_OUT.value,
        materials=materials(),
        specials=named_values("special", SPECIALS.value),
        template=TEMPLATE.value,
        multiple=MULTIPLE.value,
        seed=SEED.value,
        step=STEP.value,
    )
    print(report)


if __name__ == "__main__":
    run(main)
