"""What a lexinvariant model could reach by the simplest use of its context: the mean of the vectors that it has seen.

python experiments/probes/counting.py --source='jsonl:data/{split}.jsonl.xz' --width=64 --width=1024

Of each row, symbols have Gaussian vectors `v`; `h` is the mean of those of the whole row, and `g · h·v / width` are the
logits, with the gain `g` that is best over all rows. Shown are bits a byte, beside the entropy of the rows' histograms.
"""

import numpy as np
from absl import flags

from lexitok.config.flags import run
from lexitok.data.sources import open_source

SOURCE = flags.DEFINE_string("source", "stdlib", "Source of the documents.")
SPLIT = flags.DEFINE_string("split", "validation", "Split of the source.")
ROWS = flags.DEFINE_integer("rows", 24, "Documents of which the beginning is taken.", lower_bound=1)
SYMBOLS = flags.DEFINE_integer("symbols", 512, "Bytes of a row; shorter documents are passed over.", lower_bound=1)
WIDTH = flags.DEFINE_multi_integer("width", [64, 256, 1024], "Elements of a vector.")
SEED = flags.DEFINE_integer("seed", 0, "Of the vectors.")
ALPHABET = 260
GAINS = np.geomspace(0.5, 512, 41)


def main() -> None:
    corpus = open_source(SOURCE.value, SPLIT.value, cache="~/.cache/lexitok", field="text")
    texts = [document.data for document in corpus.documents(0) if len(document.data) >= SYMBOLS.value][: ROWS.value]
    counts = [np.bincount(np.frombuffer(text[: SYMBOLS.value], np.uint8), minlength=ALPHABET) for text in texts]
    shares_RxV = np.array(counts) / SYMBOLS.value
    print(f"{len(texts)} rows, entropy {_bits(shares_RxV, np.log(np.maximum(shares_RxV, 1e-30))):.2f} bits")
    for width in WIDTH.value:
        bits, gain = min((_bits(shares_RxV, _log_probs(shares_RxV, width, gain)), gain) for gain in GAINS)
        print(f"width {width}: {bits:.2f} bits, at a gain of {gain:.0f}")


def _log_probs(shares_RxV: np.ndarray, width: int, gain: float) -> np.ndarray:
    rng = np.random.default_rng(SEED.value)
    out = []
    for shares_V in shares_RxV:
        vectors_VxD = rng.normal(size=(ALPHABET, width))
        logits_V = gain * (vectors_VxD @ (shares_V @ vectors_VxD)) / width
        out.append(logits_V - np.logaddexp.reduce(logits_V))
    return np.array(out)


def _bits(shares_RxV: np.ndarray, log_probs_RxV: np.ndarray) -> float:
    return float(-(shares_RxV * log_probs_RxV).sum(axis=1).mean() / np.log(2))


if __name__ == "__main__":
    run(main)
