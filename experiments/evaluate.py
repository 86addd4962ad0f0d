"""Evaluates a run's checkpoint on whole documents.

python experiments/evaluate.py --run=runs/hat --source='jsonl:data/{split}.jsonl.xz' --split=validation --bytes=0
python experiments/evaluate.py --run=runs/hat --bytes=200000 --robustness
"""

import json
from pathlib import Path
from typing import Any

from absl import flags

from lexitok.analysis import read_run
from lexitok.analysis.evaluating import evaluate_run, probe_run
from lexitok.runner import run

RUN = flags.DEFINE_string("run", None, "Directory of the run.", required=True)
SOURCE = flags.DEFINE_string("source", None, "Source of the documents; the run's own if not given.")
SPLIT = flags.DEFINE_string("split", "validation", "Split of the source.")
BYTES = flags.DEFINE_integer("bytes", 0, "Whole documents up to so many bytes; 0: all.")
DOCUMENTS = flags.DEFINE_string("documents", None, "File for the score of each document, one a line.")
ROBUSTNESS = flags.DEFINE_bool(
    "robustness", False, "Also on perturbed text; kept in the run's result.json, for experiments/compare.py."
)


def main() -> None:
    which = read_run(RUN.value)
    text = {"source": SOURCE.value, "split": SPLIT.value, "max_bytes": BYTES.value}
    evaluation = evaluate_run(which, **text)
    result: dict[str, Any] = evaluation.summary()
    if DOCUMENTS.value:
        evaluation.save_documents(Path(DOCUMENTS.value))
    if ROBUSTNESS.value:
        result["robustness"] = probe_run(which, **text)
        which.add_result("robustness", result["robustness"])
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    run(main)
