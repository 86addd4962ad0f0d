"""Whether `transformers` gives the logits of `logits.npz` for the checkpoints that are named.

    python tests/hub/check_with_transformers.py DIRECTORY ...

needs torch and transformers. Where the file has `columns`, its logits are those of these ids alone. Exits with 1 if a
relative error is above 2e-5, or a tensor was not as it should be.
"""

import pathlib
import sys

import numpy as np
import torch
import transformers as tf


def relative_error(folder: pathlib.Path) -> float:
    """The largest difference of a logit, over the largest logit; infinity if tensors are missing or left over."""
    model, info = tf.AutoModelForCausalLM.from_pretrained(
        folder, attn_implementation="eager", dtype=torch.float32, output_loading_info=True
    )
    if info["missing_keys"] or info["unexpected_keys"] or info["mismatched_keys"]:
        print(folder, {key: list(value) for key, value in info.items() if value})
        return np.inf
    with np.load(folder / "logits.npz") as file, torch.no_grad():
        logits = model.eval()(torch.tensor(file["ids"].astype(np.int64))).logits.numpy()
        logits = logits[..., file["columns"]] if "columns" in file else logits
        return float(np.abs(logits - file["logits"]).max() / np.abs(file["logits"]).max())


if __name__ == "__main__":
    errors = {name: relative_error(pathlib.Path(name)) for name in sys.argv[1:]}
    for name, error in errors.items():
        print(f"{error:.1e}  {name}")
    sys.exit(any(error > 2e-5 for error in errors.values()))
