"""Surprisal as a coloured page: how many bits each character of a text costs a model."""

import dataclasses
import html
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from lexitok.data.encoders import Encoder
from lexitok.data.windows import eval_batches
from lexitok.evals.scoring import score_documents
from lexitok.evals.tally import nats_by_byte
from lexitok.sharding import current_mesh
from lexitok.text.bits import LN2

SCALE = ((247, 251, 255), (198, 219, 239), (107, 174, 214), (33, 113, 181), (8, 48, 107))  # one hue, ever darker
STYLE = """
.lexitok-surprisal { font: 15px/1.9 ui-monospace, Menlo, Consolas, monospace; background: #fff; color: #111;
  max-width: 62em; margin: 1em auto; padding: 0 1em; }
.lexitok-surprisal pre { font: inherit; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; }
.lexitok-surprisal span { padding: 2px 0; }
.lexitok-surprisal .key span { padding: 2px 7px; }
.lexitok-surprisal p { font-family: system-ui, sans-serif; line-height: 1.5; }
"""


@dataclasses.dataclass(frozen=True)
class Character:
    """A whole character, or a byte that belongs to none.

    Attributes:
      start, stop: its bytes.
      text: the character; for a byte that is not part of valid UTF-8, `\\xNN`.
    """

    start: int
    stop: int
    text: str


def byte_bits(
    model: Any, encoder: Encoder, data: bytes, *, symbols: int = 1024, units: int = 512, overlap: float = 0.5
) -> np.ndarray:
    """float64 `[len(data)]`: bits of each byte of a text, which is read as one document.

    The bits of a symbol of several bytes are spread over them evenly; those of an end-of-unit symbol count to the byte
    after it. The end of the document costs no byte anything.

    Args:
      model: has `scores(batch)`.
      encoder: of its documents.
      data: the text.
      symbols, units: of a window; a longer text is read in several, with `overlap` of each as context.
    """
    mesh = current_mesh()
    rows = mesh.shape["data"] * mesh.shape["fsdp"] if mesh else 1
    eot = encoder.vocabulary.eot
    batches = eval_batches([data], encoder, rows=rows, symbols=symbols, units=units, overlap=overlap)
    ((_, scored),) = score_documents(model, batches, eot)
    return nats_by_byte(scored, eot) / LN2


def page_of(model: Any, encoder: Encoder, data: bytes, *, title: str = "Surprisal", **window: Any) -> str:
    """`surprisal_page` of what a model makes of a text; `window` goes to `byte_bits`."""
    spread = "symbols" if encoder.kind == "subword" else "none"
    return surprisal_page(data, byte_bits(model, encoder, data, **window), title=title, spread=spread)


def characters(data: bytes) -> Iterator[Character]:
    """The characters of UTF-8 text, bytes that are none one by one; together they cover every byte."""
    at = 0
    while at < len(data):
        stop = at + _length(data, at)
        piece = data[at:stop]
        try:
            yield Character(at, stop, piece.decode("utf-8"))
        except UnicodeDecodeError:
            stop = at + 1
            yield Character(at, stop, f"\\x{data[at]:02x}")
        at = stop


def surprisal_page(data: bytes, bits: np.ndarray, *, title: str = "Surprisal", spread: str = "none") -> str:
    """An HTML page of the text, each character coloured by its bits; the number is shown on hovering.

    The scale is of one hue and gets darker with more bits, so it needs no colour vision; text on it is black or white,
    whichever has the higher contrast. It ends at the 98th percentile (rounded up), which is said in the key.

    Args:
      data: the text.
      bits: `[len(data)]`, bits of each byte; a character has the sum of its bytes.
      title: heading of the page.
      spread: `none`, or `symbols`: the bits of a symbol were spread over its bytes, which the page says.

    Raises:
      ValueError: not one number a byte, or an unknown `spread`.
    """
    if bits.shape != (len(data),):
        raise ValueError(f"{len(data)} bytes need as many numbers, got an array of shape {bits.shape}")
    if spread not in NOTES:
        raise ValueError(f"unknown spread '{spread}'; there are {', '.join(NOTES)}")
    pieces = list(characters(data))
    cost = np.array([bits[c.start : c.stop].sum() for c in pieces])
    top = max(1.0, float(np.ceil(np.percentile(cost, 98)))) if len(cost) else 1.0
    body = "".join(_span(c, b, top) for c, b in zip(pieces, cost.tolist(), strict=True))
    average = bits.sum() / len(data) if len(data) else math.nan
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>\n'
        f'<style>{STYLE}</style></head><body><div class="lexitok-surprisal"><h2>{html.escape(title)}</h2>\n'
        f"<p>{len(data)} bytes, {average:.3f} bits per byte. {NOTES[spread]}</p>\n{_key(top)}\n<pre>{body}</pre>\n"
        "</div></body></html>\n"
    )


NOTES = {
    "none": "Each character is coloured by the bits of its bytes, given all that stands before them.",
    "symbols": "The model reads symbols of several bytes: the bits of each are spread evenly over its bytes.",
}


def colour(value: float) -> tuple[str, str]:
    """Background and text colour, as CSS, of a value in 0..1 (clipped)."""
    place = min(max(value, 0.0), 1.0) * (len(SCALE) - 1)
    low = min(int(place), len(SCALE) - 2)
    rgb = [round(a + (b - a) * (place - low)) for a, b in zip(SCALE[low], SCALE[low + 1], strict=True)]
    back = _luminance(rgb)
    text = "#000" if (back + 0.05) / 0.05 >= 1.05 / (back + 0.05) else "#fff"
    return "#{:02x}{:02x}{:02x}".format(*rgb), text


def _luminance(rgb: list[int]) -> float:
    """Relative luminance of an sRGB colour (WCAG 2.2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in rgb)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _span(character: Character, bits: float, top: float) -> str:
    back, text = colour(bits / top)
    shown = {"\n": "↵\n", "\t": "⇥\t", "\r": "␍"}.get(character.text, character.text)
    if not (shown.isprintable() or character.text in "\n\t\r"):
        shown = "".join(f"\\u{{{ord(c):x}}}" for c in shown)
    name = html.escape(repr(character.text), quote=True)
    return f'<span style="background:{back};color:{text}" title="{name}: {bits:.2f} bits">{html.escape(shown)}</span>'


def _key(top: float) -> str:
    steps = [top * i / 8 for i in range(9)]
    cells = "".join(
        '<span style="background:{};color:{}">{:g}</span>'.format(*colour(v / top), round(v, 2)) for v in steps
    )
    return f'<p class="key">bits of a character: {cells} and more</p>'


def _length(data: bytes, at: int) -> int:
    lead = data[at]
    return 1 if lead < 0xC0 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
