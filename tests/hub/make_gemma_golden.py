"""Writes `data/gemma3_270m.npz`: what `transformers` makes of Gemma 3 270M as GGUF, on `data/bread.txt`.

    python tests/hub/make_gemma_golden.py gemma.gguf

needs torch, transformers and gguf, which the project does not install; the test that reads the golden does not. It has
the ids of the text behind a BOS; for every position the logits of a few ids, and the logarithm of the sum of the
exponentials of all; and a greedy continuation of the text. Everything is computed in float32.
"""

import pathlib
import sys

import numpy as np
import torch
import transformers as tf

DATA = pathlib.Path(__file__).parent / "data"
COLUMNS, WRITTEN = 16, 200


@torch.no_grad()
def greedy(model: tf.PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
    """The likeliest token `WRITTEN` times, over an end of the text too, which `generate` would not write."""
    written, cache, new = [], None, ids
    for _ in range(WRITTEN):
        out = model(new, past_key_values=cache, logits_to_keep=1)
        cache, new = out.past_key_values, out.logits[:, -1].argmax(-1, keepdim=True)
        written.append(new)
    return torch.cat(written, dim=1)


def main(path: pathlib.Path) -> None:
    where = {"pretrained_model_name_or_path": path.parent, "gguf_file": path.name}
    model = tf.AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32, attn_implementation="eager").eval()
    tokenizer = tf.AutoTokenizer.from_pretrained(**where)
    ids = tokenizer((DATA / "bread.txt").read_text(), return_tensors="pt").input_ids
    columns = torch.randint(0, model.config.vocab_size, (COLUMNS,), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = model(ids).logits
    written = greedy(model, ids)
    np.savez_compressed(
        DATA / "gemma3_270m.npz",
        ids=ids.numpy().astype(np.int32),
        columns=columns.numpy(),
        logits=logits[..., columns].numpy(),
        log_normalizers=logits.double().logsumexp(-1).float().numpy(),
        written=written.numpy().astype(np.int32),
    )
    print(ids.shape, tokenizer.decode(written[0]))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
