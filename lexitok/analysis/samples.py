"""What a run writes when it is let."""

from collections.abc import Sequence
from pathlib import Path

from lexitok.inference.generate import generate
from lexitok.runs.load import load_model
from lexitok.runs.writing import write_whole

PROMPTS = (b"", b"def ", b"The ")


def write_samples(
    run: str | Path,
    prompts: Sequence[bytes] = PROMPTS,
    *,
    max_bytes: int = 160,
    temperature: float = 0.7,
    seed: int = 0,
) -> str:
    """Lets a run's newest checkpoint go on with each prompt, and writes that to `samples.txt` in its directory.

    Returns:
      The text, each prompt in bold brackets before what follows it; bytes that are no text are shown as U+FFFD.
    """
    model, encoder = load_model(run)
    texts = generate(model, encoder, prompts, max_bytes=max_bytes, temperature=temperature, seed=seed)
    out = "\n".join(
        f"--- prompt {prompt.decode(errors='replace')!r}\n{(prompt + text).decode(errors='replace')}\n"
        for prompt, text in zip(prompts, texts, strict=True)
    )
    write_whole(Path(run) / "samples.txt", out)
    return out
