"""Evaluates a run's checkpoint on whole documents.

python experiments/evaluate.py --run=runs/hat --source='jsonl:data/{split}.jsonl.xz' --split=validation --bytes=0
python experiments/evaluate.py --run=runs/hat --bytes=200000 --robustness
python experiments/evaluate.py --run=runs/hat --bytes=10000 --source='jsonl:data/km.{split}.jsonl.xz' \
    --source='jsonl:data/ko.{split}.jsonl.xz'
python experiments/evaluate.py --run=runs/moved_qwen --ensemble=runs/moved_gemma --bytes=100000

One source gives all figures; several give a line each of a table.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from lexitok.config.flags import run

if TYPE_CHECKING:
    from lexitok.runs.run import Run

RUN = flags.DEFINE_string("run", None, "Directory of the run.", required=True)
SOURCE = flags.DEFINE_multi_string("source", [], "Source of the documents, or several; the run's own if not given.")
ENSEMBLE = flags.DEFINE_multi_string(
    "ensemble", [], "Runs of the same tokenizer: the mean of all predictions is scored."
)
MEAN = flags.DEFINE_enum("mean", "probability", ["probability", "logit"], "What an ensemble is the mean of.")
SPLIT = flags.DEFINE_string("split", "validation", "Split of the source.")
BYTES = flags.DEFINE_integer("bytes", 0, "Whole documents up to so many bytes; 0: all.")
DOCUMENTS = flags.DEFINE_string("documents", None, "File for the score of each document, one a line.")
ROBUSTNESS = flags.DEFINE_bool(
    "robustness", False, "Also on perturbed text; kept in the run's result.json, for experiments/compare.py."
)


@flags.multi_flags_validator(["ensemble", "robustness"], message="--robustness is of a single run")
def _one_run(values: dict) -> bool:
    return not (values["ensemble"] and values["robustness"])


@flags.multi_flags_validator(
    ["source", "documents", "robustness"], message="--documents and --robustness want one --source"
)
def _one_source(values: dict) -> bool:
    return len(values["source"]) < 2 or not (values["documents"] or values["robustness"])


def main() -> None:
    from lexitok.analysis.evaluating import evaluate_run, probe_run
    from lexitok.runs.run import read_run

    which = read_run(RUN.value)
    if len(SOURCE.value) > 1:
        return _table(which)
    text = {"source": SOURCE.value[0] if SOURCE.value else None, "split": SPLIT.value, "max_bytes": BYTES.value}
    evaluation = evaluate_run(which, **text, others=_others(), mean=MEAN.value)
    result: dict[str, Any] = evaluation.summary()
    if DOCUMENTS.value:
        evaluation.save_documents(Path(DOCUMENTS.value))
    if ROBUSTNESS.value:
        result["robustness"] = probe_run(which, **text)
        which.add_result("robustness", result["robustness"])
    print(json.dumps(result, indent=1))


def _others() -> list[Path]:
    return [Path(other) for other in ENSEMBLE.value]


def _table(which: "Run") -> None:
    from lexitok.analysis.evaluating import evaluate_sources

    columns = {"documents": "d", "bytes": "d", "bpb": ".3f", "next_word_accuracy": ".3f", "bytes_per_unit": ".2f"}
    text = {"split": SPLIT.value, "max_bytes": BYTES.value}
    evaluations = evaluate_sources(which, SOURCE.value, **text, others=_others(), mean=MEAN.value)
    for i, (source, evaluation) in enumerate(zip(SOURCE.value, evaluations, strict=True)):
        summary = evaluation.summary()
        if i == 0:
            columns |= dict.fromkeys(evaluation.references, ".3f")
            print("| source | " + " | ".join(columns) + " |\n|---|" + "---:|" * len(columns))
        cells = ("" if summary[name] is None else format(summary[name], how) for name, how in columns.items())
        print(f"| `{source}` | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    run(main)
