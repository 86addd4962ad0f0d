"""A new tokenizer for every step, from a window of recent text: as ZeTT draws them (Minixhofer et al. 2024, arXiv
2405.07883).

A substring's score is its bytes times its count, its probability its share of all scores. Noise is added to the
probabilities, the best substrings are tokens with the logarithms, and the 256 bytes are tokens in any case.
"""

import base64
import dataclasses
import json
import math
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float64, Int64

from lexitok.text.drawn.substrings import SubstringCounts
from lexitok.text.drawn.text_window import TextWindow
from lexitok.text.drawn.unigram import SPECIALS, UnigramTokenizer
from lexitok.text.patterns import GPT2_MARKS

_FORMAT = "lexitok tokenizer sampler 1"
_LEAST = -1e5  # log-probability of what the noise takes below zero: a token that is used if nothing else is


@dataclasses.dataclass(frozen=True)
class SamplerSettings:
    """What tokenizers are drawn.

    Attributes:
      size: ids of each, with three specials and 256 bytes; ids that the window has no substrings for are never used.
      window_bytes: bytes of the last texts that substrings are counted in.
      longest: bytes of the longest token.
      stride: substrings start at every so-manieth character of a word; 4 in the published sampler.
      noise: standard deviation of what is added to probabilities: the median over tokenizers; 0 for none.
      noise_spread: standard deviation over tokenizers of that number's natural logarithm.
      whitespace: runs of a space, a line break or a tab, from 2 to so many bytes, are tokens of probability 1.
      pattern: cuts text into words; tokens are within words.
      seed: of the noise.
    """

    size: int = 32_768
    window_bytes: int = 1_000_000
    longest: int = 15
    stride: int = 1
    noise: float = 1e-5
    noise_spread: float = 4.0
    whitespace: int = 8
    pattern: str = GPT2_MARKS
    seed: int = 0

    def __post_init__(self) -> None:
        least = len(SPECIALS) + 256 + len(self.whitespace_runs)
        if self.size < least:
            raise ValueError(f"size is {self.size}; specials, bytes and runs of whitespace alone are {least} ids")
        if not (0 <= self.noise < math.inf and 0 <= self.noise_spread < math.inf):
            raise ValueError(f"noise {self.noise} and noise_spread {self.noise_spread} must be finite and not negative")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; it must not be negative")

    @property
    def whitespace_runs(self) -> tuple[bytes, ...]:
        """The runs that are tokens in any case."""
        return tuple(one * length for one in (b" ", b"\n", b"\t") for length in range(2, self.whitespace + 1))


class TokenizerSampler:
    """Reads texts and draws tokenizers.

    A tokenizer follows from the settings, the texts in the window and how many were drawn before.

    Attributes:
      settings: what is drawn.
      drawn: how many were.
    """

    def __init__(self, settings: SamplerSettings, drawn: int = 0):
        """Starts with an empty window.

        Args:
          settings: what is drawn.
          drawn: how many were drawn before, by a sampler that this one goes on for.

        Raises:
          ValueError: a setting is out of its range, as of `TextWindow`.
        """
        self.settings, self.drawn = settings, drawn
        self._window = self._empty()

    def add(self, texts: Iterable[bytes]) -> None:
        """Reads further texts (any bytes), and forgets the oldest for which there is no room."""
        self._window.add(texts)

    def sample(self) -> UnigramTokenizer:
        """The next tokenizer: its tokens are the bytes, runs of whitespace, then substrings, the likeliest first.

        Of equal probabilities the substring comes first, or is taken, that is first in the order of bytes.
        """
        settings, counts = self.settings, self._window.counts
        probabilities = _noisy(counts, settings, self.drawn)
        self.drawn += 1
        runs = dict.fromkeys(settings.whitespace_runs)
        room = settings.size - len(SPECIALS) - 256 - len(runs)
        best = _best(counts, probabilities, room + len(runs))  # runs may be among them
        spelled = counts.spelled(best)
        kept = [i for i, token in enumerate(spelled) if token not in runs][:room]
        tokens, logs = [spelled[i] for i in kept], _log(probabilities[best[kept]])
        least = float(logs.min()) if len(logs) else -math.log(256)
        of_bytes = _of_single_bytes(counts, probabilities, least)
        return UnigramTokenizer(
            [*(bytes([byte]) for byte in range(256)), *runs, *tokens],
            np.concatenate([of_bytes, np.zeros(len(runs)), logs]),
            size=settings.size,
            pattern=settings.pattern,
        )

    def state(self) -> bytes:
        """The window and how many were drawn, as text (JSON), for checkpoints; `restore` reads it."""
        texts = [base64.b64encode(text).decode() for text in self._window.texts]
        content = {"format": _FORMAT, "settings": dataclasses.asdict(self.settings), "drawn": self.drawn}
        return json.dumps({**content, "texts": texts}).encode()

    def restore(self, state: bytes) -> None:
        """Goes on from `state`: what is then drawn is what would have been.

        Raises:
          ValueError: the state is damaged, or of a sampler with other settings; nothing is changed.
        """
        try:
            content = json.loads(state)
            if content["format"] != _FORMAT:
                raise ValueError(f"its format is {content['format']!r}")
            settings, drawn = dict(content["settings"]), int(content["drawn"])
            texts = [base64.b64decode(text, validate=True) for text in content["texts"]]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"not the state of a tokenizer sampler: {error!r}") from error
        ours = dataclasses.asdict(self.settings)
        other = sorted(name for name in ours.keys() | settings.keys() if ours.get(name) != settings.get(name))
        if other:
            raise ValueError(
                f"the state is of a sampler with other settings ({', '.join(other)}); what it goes on with would be "
                "neither the one nor the other"
            )
        self._window, self.drawn = self._empty(), drawn
        self._window.add(texts)

    def _empty(self) -> TextWindow:
        s = self.settings
        return TextWindow(s.window_bytes, pattern=s.pattern, longest=s.longest, stride=s.stride)


def _noisy(counts: SubstringCounts, settings: SamplerSettings, drawn: int) -> Float64[np.ndarray, "n"]:
    """The probabilities of all substrings, with noise. They are in an order of their own, so noise is drawn in it."""
    scores = counts.counts * counts.lengths
    probabilities = scores / max(int(scores.sum()), 1)
    rng = np.random.default_rng([settings.seed, drawn])
    deviation = settings.noise * math.exp(settings.noise_spread * rng.standard_normal())
    return probabilities + deviation * rng.standard_normal(len(probabilities)) if deviation else probabilities


def _best(counts: SubstringCounts, probabilities: Float64[np.ndarray, "n"], most: int) -> Int64[np.ndarray, "chosen"]:
    """The likeliest substrings of two bytes and more, in order; those that are equal in the order of their bytes."""
    longer = np.flatnonzero(counts.lengths > 1)
    if len(longer) > most:
        of_longer = probabilities[longer]
        least = np.partition(of_longer, len(longer) - most)[len(longer) - most]
        longer = longer[of_longer >= least]  # with all that are as likely as the last
    order = np.lexsort((*counts.rows[longer].T[::-1], -probabilities[longer]))
    return longer[order[:most]]


def _log(probabilities: Float64[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
    positive = probabilities > 0
    return np.where(positive, np.log(np.where(positive, probabilities, 1.0)), _LEAST)


def _of_single_bytes(
    counts: SubstringCounts, probabilities: Float64[np.ndarray, "n"], least: float
) -> Float64[np.ndarray, "256"]:
    """Log-probabilities of the 256 bytes: their own where they are characters of the text, and not below `least`."""
    logs = np.full(256, least)
    single = np.flatnonzero(counts.lengths == 1)
    byte = counts.rows[single, 0] >> np.uint64(56)
    logs[byte.astype(np.int64)] = np.maximum(_log(probabilities[single]), least)
    return logs
