"""Which tokens moved well: what text costs under a new tokenizer, token by token, beside what it cost before.

Both models read the same documents, and their tokens are aligned by byte offsets (`lexitok.text.alignment`), so that
the bits of a span are compared with the bits of the same bytes. A row that is badly predicted makes its own span dear;
one that is badly read makes the span after it dear.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lexitok.analysis.plots import COLOURS
from lexitok.analysis.subjects import Subject
from lexitok.data.windows import eval_batches
from lexitok.evals.scoring import score_documents
from lexitok.evals.tally import Scored
from lexitok.text.alignment import NONE, Alignment, TokenEnds, align
from lexitok.text.bits import LN2
from lexitok.text.vocabulary import Vocabulary
from lexitok.transfer.audit import class_of

_Line = Mapping[str, Any]  # of `lexitok.transfer.provenance.read_lines`


@dataclasses.dataclass(frozen=True)
class TokenCosts:
    """What the new tokens of some text cost more than its bytes cost before, in bits a time.

    Attributes:
      count_V: how often each new token is in the text.
      own_V: of the span that it is part of, shared by the new tokens of the span; NaN where it is not in the text.
      after_V: of the span that follows; NaN where nothing ever does.
    """

    count_V: Int[np.ndarray, "V"]
    own_V: Float[np.ndarray, "V"]
    after_V: Float[np.ndarray, "V"]


def token_costs(
    before: Subject,
    now: Subject,
    documents: Sequence[bytes],
    *,
    rows: int = 8,
    symbols: int = 256,
    overlap: float = 0.5,
) -> TokenCosts:
    """The costs of the new tokens of documents.

    Args:
      before, now: subword models with their encoders.
      documents: raw bytes.
      rows, symbols, overlap: of windows, as of `lexitok.evals.evaluate`.

    Raises:
      ValueError: there is no document.
    """
    if not documents:
        raise ValueError("there are no documents to count tokens in")
    old, new = (_scores(subject, documents, rows, symbols, overlap) for subject in (before, now))
    V = now.encoder.vocabulary.size
    sums, counts = np.zeros((2, V)), np.zeros((2, V), np.int64)
    for a, b in zip(old, new, strict=True):
        aligned = align(_ends(a, before.encoder.vocabulary), _ends(b, now.encoder.vocabulary))
        for side, (tokens, bits) in enumerate(_extra(a, b, aligned)):
            np.add.at(sums[side], tokens, bits)
            np.add.at(counts[side], tokens, 1)
    own_V, after_V = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    return TokenCosts(counts[0], own_V, after_V)


def _scores(subject: Subject, documents: Sequence[bytes], rows: int, symbols: int, overlap: float) -> list[Scored]:
    encoder = subject.encoder
    batches = eval_batches(documents, encoder, rows=rows, symbols=symbols, units=symbols, overlap=overlap)
    return [scored for _, scored in score_documents(subject.model, batches, encoder.vocabulary.eot)]


def _ends(scored: Scored, vocabulary: Vocabulary) -> TokenEnds:
    return TokenEnds.of(scored.symbols, scored.nbytes, vocabulary)


def _extra(old: Scored, new: Scored, aligned: Alignment) -> list[tuple[np.ndarray, np.ndarray]]:
    """New tokens and their bits, in their own span and in the one after it."""
    spans = len(aligned.ends)
    extra = _bits(new, aligned.of_b, spans) - _bits(old, aligned.of_a, spans)
    held = (aligned.of_b != NONE) & (aligned.of_b < spans)
    followed = held & (aligned.of_b < spans - 1)
    own = (extra / np.maximum(aligned.tokens_of_b[:spans], 1))[aligned.of_b[held]]
    return [(new.symbols[held], own), (new.symbols[followed], extra[aligned.of_b[followed] + 1])]


def _bits(scored: Scored, of: np.ndarray, spans: int) -> np.ndarray:
    """float64 `[spans]`: of the spans of text."""
    held = (of != NONE) & (of < spans)
    return np.bincount(of[held], weights=scored.nll[held].astype(np.float64), minlength=spans) / LN2


def classes_table(costs: TokenCosts, lines: Sequence[_Line], vocabulary: Vocabulary) -> str:
    """A Markdown table: for rows of each kind and each class of tokens that are in the text, what they cost more.

    Args:
      costs: of the new tokens.
      lines: their provenance.
      vocabulary: theirs.

    Returns:
      How many tokens, how often, bits a time in their own span and in the one after it, and the share of all
      additional bits; the dearest first.
    """
    groups: dict[tuple[str, str], list[int]] = {}
    for token in np.flatnonzero(costs.count_V).tolist():
        groups.setdefault((lines[token]["kind"], class_of(vocabulary.token_bytes[token])), []).append(token)
    spent = np.nan_to_num(costs.own_V) * costs.count_V
    total = spent.sum()
    rows = [
        "| rows | tokens | in the text | times | own bits | bits after | share |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for (kind, name), tokens in sorted(groups.items(), key=lambda group: -spent[group[1]].sum()):
        times = costs.count_V[tokens]
        own, after = (_mean(of[tokens], times) for of in (costs.own_V, costs.after_V))
        share = spent[tokens].sum() / total if total else np.nan
        rows.append(f"| {kind} | {name} | {len(tokens)} | {times.sum()} | {own:+.2f} | {after:+.2f} | {share:.0%} |")
    return "\n".join(rows) + "\n"


def _mean(values: np.ndarray, times: np.ndarray) -> float:
    found = np.isfinite(values)
    return float(np.average(values[found], weights=times[found])) if found.any() else float("nan")


def tokens_table(costs: TokenCosts, lines: Sequence[_Line], *, count: int = 10, least: int = 5) -> str:
    """A Markdown table of the made rows that moved worst, and of those that moved best.

    Args:
      costs: of the new tokens.
      lines: their provenance.
      count: of each.
      least: times that a token is in the text.
    """
    some = made_tokens(costs, lines, least)
    order = some[np.argsort(-(costs.own_V + np.nan_to_num(costs.after_V))[some], kind="stable")].tolist()
    rows = ["| token | times | own bits | bits after | made of |", "|---|---:|---:|---:|---|"]
    rows += [_line(costs, lines, token) for token in order[:count]]
    if len(order) > count:
        rows += ["| … | | | | |"] * (len(order) > 2 * count)
        rows += [_line(costs, lines, token) for token in order[max(count, len(order) - count) :]]
    return "\n".join(rows) + "\n"


def made_tokens(costs: TokenCosts, lines: Sequence[_Line], least: int = 1) -> Int[np.ndarray, "n"]:
    """The tokens whose rows were made, of those that are in the text so often at least."""
    made = np.array([line["kind"] == "made" for line in lines])
    return np.flatnonzero(made & (costs.count_V >= max(least, 1)))


def _line(costs: TokenCosts, lines: Sequence[_Line], token: int) -> str:
    parts = " ".join(f"{_code(piece)} {weight:.2f}" for _, piece, weight in lines[token]["from"][:4])
    more = " …" if lines[token].get("parts", len(lines[token]["from"])) > 4 else ""
    own, after = costs.own_V[token], costs.after_V[token]
    return f"| {_code(lines[token]['token'])} | {costs.count_V[token]} | {own:+.2f} | {after:+.2f} | {parts}{more} |"


def _code(text: str) -> str:
    replaced = text.replace("\n", "↵").replace("\t", "⇥").replace("\r", "␍").replace(" ", "␣").replace("`", "'")
    return "`" + replaced.replace("|", "\\|") + "`"


def costs_figure(costs: TokenCosts, lines: Sequence[_Line], *, least: int = 5) -> Figure:
    """Each token that is in the text so often at least: what it costs more when read, against when predicted.

    A dot's area is how often the token is in the text; rows that were made lie over those that were kept.
    """
    figure = Figure(figsize=(6.5, 5.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    kinds = np.array([line["kind"] for line in lines])
    often = (costs.count_V >= max(least, 1)) & np.isfinite(costs.after_V)
    for kind, colour in zip(("copied", "special", "unmatched", "made"), COLOURS, strict=False):
        at = np.flatnonzero(often & (kinds == kind))
        if len(at):
            sizes = 8 * np.sqrt(costs.count_V[at])
            label = f"{kind} ({len(at)})"
            axes.scatter(costs.own_V[at], costs.after_V[at], s=sizes, color=colour, alpha=0.5, lw=0, label=label)
    axes.axhline(0, color="0.6", lw=1)
    axes.axvline(0, color="0.6", lw=1)
    axes.set(xlabel="additional bits of its own span (predicted)", ylabel="additional bits of the span after it (read)")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(title="rows", fontsize="small")
    return figure
