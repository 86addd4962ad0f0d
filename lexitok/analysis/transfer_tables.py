"""Tables of ways to give a model a new tokenizer (`lexitok.analysis.transfer_arms`)."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lexitok.analysis.paired import difference, mean_scores, spread
from lexitok.analysis.transfer_arms import Arm
from lexitok.data.digits import TASKS
from lexitok.runs.documents import DocumentScores
from lexitok.text.bits import bits_per_byte

Row = Mapping[str, Any]


def transfer_table(*measurements: Mapping[Arm, Row]) -> str:
    """A table in Markdown, a line for each way, in the order in which they were first measured.

    Numbers are means over models and seeds, with the smallest and the largest in brackets where there are several.
    Columns: bits per byte of each text, and of all (the mean of the texts'); that less the original model's, of the
    bytes of all texts together, with the 95 % interval of a bootstrap over documents; tokens per byte, the mean of the
    texts'; seconds of the transfer, and of the training where there is one; right answers on digits.

    Args:
      measurements: of one model, or of each of several on the same texts; a way that is not there for all of them is
        left out.

    Raises:
      ValueError: nothing was measured, or models were measured on different texts.
    """
    if not any(measurements):
        raise ValueError("nothing was measured: there is no table to make")
    ways = pooled_ways(measurements)
    original = next((pooled_scores(rows) for way, rows in ways.items() if way.is_original), None)
    texts = list(next(iter(ways.values()))[0]["texts"])
    head = ["tokenizer", "in", "out", "steps", *texts, "all", "less the original", "tokens/byte", "seconds", *TASKS]
    lines = [f"| {' | '.join(head)} |", "|---|---|---|" + "---:|" * (len(head) - 3)]
    lines += [f"| {' | '.join(_cells(way, rows, texts, original))} |" for way, rows in ways.items()]
    return "\n".join(lines) + "\n"


def pooled_ways(measurements: Sequence[Mapping[Arm, Row]]) -> dict[Arm, list[Row]]:
    """What was measured of each way, of all models and seeds.

    Raises:
      ValueError: as `transfer_table`.
    """
    of_models = [{dataclasses.replace(arm, seed=0) for arm in of} for of in measurements]
    ways: dict[Arm, list[Row]] = {}
    for of in measurements:
        for arm, row in of.items():
            way = dataclasses.replace(arm, seed=0)
            if all(way in there for there in of_models):
                ways.setdefault(way, []).append(row)
    sizes = [_sizes(row) for rows in ways.values() for row in rows]
    if not sizes:
        raise ValueError("no way was measured of all models")
    if any(of_row != sizes[0] for of_row in sizes):
        raise ValueError("the models were measured on different texts")
    return ways


def _sizes(row: Row) -> dict[str, list]:
    """Bytes of the documents of each text."""
    return {name: text["bytes"] for name, text in row["texts"].items()}


def _cells(way: Arm, rows: Sequence[Row], texts: Sequence[str], original: DocumentScores | None) -> list[str]:
    bpb = np.array([[_bpb(row["texts"][text]) for text in texts] for row in rows])
    tokens = [float(np.mean([row["texts"][text]["tokens_per_byte"] for text in texts])) for row in rows]
    return [
        way.tokenizer,
        way.method_in or "–",
        way.method_out or ("–" if way.is_original else "the same"),
        str(way.steps or "–"),
        *(_shown(bpb[:, i]) for i in range(len(texts))),
        _shown(bpb.mean(axis=1)),
        "–" if original is None or way.is_original else _less(pooled_scores(rows), original),
        _shown(tokens),
        _shown([row["seconds"] for row in rows], ".1f"),
        *(_shown([row["digits"][task]["accuracy"] for row in rows], ".2f") for task in TASKS),
    ]


def _bpb(text: Row) -> float:
    return bits_per_byte(float(np.sum(text["nats"])), float(np.sum(text["bytes"])))


def _shown(values: Sequence[float] | np.ndarray, how: str = ".3f") -> str:
    of = spread([float(value) for value in values])
    return format(of.mean, how) + (f" [{of.low:{how}}, {of.high:{how}}]" if of.n > 1 else "")


def pooled_scores(rows: Sequence[Row]) -> DocumentScores:
    """The mean over models and seeds, document by document."""
    return mean_scores([document_scores(row) for row in rows])


def document_scores(row: Row) -> DocumentScores:
    """Of the documents of all texts; words are not compared."""
    nats, nbytes = (np.concatenate([text[name] for text in row["texts"].values()]) for name in ("nats", "bytes"))
    none = np.full(len(nats), np.nan)
    return DocumentScores(nats.astype(np.float64), nbytes.astype(np.float64), none, none, none)


def _less(scores: DocumentScores, original: DocumentScores) -> str:
    found = difference(scores, original)
    return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
