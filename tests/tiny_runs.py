"""A subword run of three steps, for what is done with runs."""

from pathlib import Path

from samples import TEXT

from lexitok.config.files import load_config
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.training.loop import train

DOCUMENTS = [TEXT * 2, TEXT[len(TEXT) // 2 :], b"12 345 cats; x += 1\n" * 30]


def tokenizer_file(folder: Path, kind: str, size: int) -> Path:
    """A tokenizer of the run's text, in a file of the folder."""
    path = folder / f"{kind}{size}.model"
    if not path.exists():
        path.write_bytes(SentencePieceTokenizer.train(DOCUMENTS, kind=kind, size=size).to_bytes())
    return path


def subword_run(root: Path) -> Path:
    """Trains it in `root/run`, with its texts in `root/texts`; untied, 340 tokens."""
    (root / "texts").mkdir()
    for i in range(24):
        (root / "texts" / f"{i}.txt").write_bytes(DOCUMENTS[i % 3])
    small = [*(f"model.backbone.{axis}" for axis in ("D=16", "L=1", "H=2", "K=2", "N=8", "F=16"))]
    data = [f"data.source=text:{root}/texts/*.txt", f"data.cache={root}/cache", "data.rows=8", "data.symbols=64"]
    small += ["model.interface.tied=no", "model.interface.embed_scale=1.0"]
    steps = ["data.packing_bins=4", "train.steps=3", "train.eval_every=0", "optimizer.warmup=1"]
    train(load_config("configs/subword.py:tiny", [*small, *data, *steps, "text.vocabulary.size=340"]), root / "run")
    return root / "run"
