"""Evaluates a run's checkpoint on whole documents.

python experiments/evaluate.py --run=runs/hat --source='jsonl:data/{split}.jsonl.xz' --split=validation --bytes=0
"""

import json

from absl import flags

from lexitok.analysis import read_run
from lexitok.analysis.evaluating import evaluate_run
from lexitok.runner import run

RUN = flags.DEFINE_string("run", None, "Directory of the run.", required=True)
SOURCE = flags.DEFINE_string("source", None, "Source of the documents; the run's own if not given.")
SPLIT = flags.DEFINE_string("split", "validation", "Split of the source.")
BYTES = flags.DEFINE_integer("bytes", 0, "Whole documents up to so many bytes; 0: all.")


def main() -> None:
    evaluation = evaluate_run(read_run(RUN.value), source=SOURCE.value, split=SPLIT.value, max_bytes=BYTES.value)
    print(json.dumps(evaluation.summary(), indent=1))


if __name__ == "__main__":
    run(main)
