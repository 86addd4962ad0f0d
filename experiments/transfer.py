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

from lexitok.config.flags import run
from lexitok.transfer.materials import Materials
from lexitok.transfer.methods import DEFAULT, METHODS
from lexitok.transfer.runs import spelled, transfer_run

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
VECTORS = flags.DEFINE_string(
    "vectors", None, "For methods that compare: a run under the new tokenizer, a file, or train."
)
SOURCE_VECTORS = flags.DEFINE_string("source_vectors", None, "A file, where --vectors has not the source's tokens too.")
TEXT = flags.DEFINE_string("text", None, "Source of documents that vectors are trained on and tokens are counted in.")
SOURCE_TEXT = flags.DEFINE_string("source_text", None, "In the language of the source, for vectors of its words.")
DICTIONARY = flags.DEFINE_string("dictionary", None, "File of pairs of words: vectors are then those of words.")
PARALLEL = flags.DEFINE_list("parallel", None, "Two files, SOURCE,TARGET, that are translations of each other.")
HYPERNETWORK = flags.DEFINE_string("hypernetwork", None, "Run of configs/hypernetwork.py, for the method of that name.")


def main() -> None:
    materials = Materials(
        vectors=VECTORS.value,
        source_vectors=SOURCE_VECTORS.value,
        text=TEXT.value,
        source_text=SOURCE_TEXT.value,
        dictionary=DICTIONARY.value,
        parallel=PARALLEL.value,
        hypernetwork=HYPERNETWORK.value,
    )
    report = transfer_run(
        RUN.value,
        TOKENIZER.value,
        WORKDIR.value,
        method_in=METHOD_IN.value,
        method_out=METHOD_OUT.value,
        materials=materials,
        specials=spelled(SPECIALS.value),
        template=TEMPLATE.value,
        multiple=MULTIPLE.value,
        seed=SEED.value,
        step=STEP.value,
    )
    print(report)


if __name__ == "__main__":
    run(main)
