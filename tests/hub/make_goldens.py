"""Writes `goldens/`: tiny checkpoints of every family by `transformers`, with all parameters random, and their logits.

    python tests/hub/make_goldens.py

needs torch, transformers and safetensors, which the project does not install; the tests that read the goldens do not.
Switches that change the function are on in at least one case, and rows are longer than windows and than the context
that rotary positions are rescaled from. Weights are bfloat16 in the files; logits are computed in float32.
"""

import pathlib
import shutil

import numpy as np
import torch
import transformers as tf

GOLDENS = pathlib.Path(__file__).parent / "goldens"
V, S = 40, 14
SIZES = {"vocab_size": V, "hidden_size": 16, "intermediate_size": 20, "num_attention_heads": 4,
         "max_position_embeddings": 64, "pad_token_id": None, "bos_token_id": 1, "eos_token_id": 2}  # fmt: skip
GROUPED = {**SIZES, "num_key_value_heads": 2, "head_dim": 6}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 50.0, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 8}  # fmt: skip
LINEAR = {"rope_type": "linear", "rope_theta": 100.0, "factor": 2.0}
FULL, SLIDING = "full_attention", "sliding_attention"
CASES = {
    "llama": tf.LlamaConfig(**GROUPED, num_hidden_layers=2, rope_parameters=LLAMA3, attention_bias=True, mlp_bias=True,
                            rms_norm_eps=1e-3),
    "llama_tied": tf.LlamaConfig(**SIZES, num_hidden_layers=2, rope_parameters=LINEAR, tie_word_embeddings=True),
    "mistral": tf.MistralConfig(**GROUPED, num_hidden_layers=2, sliding_window=5),
    "mistral_full": tf.MistralConfig(**GROUPED, num_hidden_layers=2, sliding_window=None),
    "qwen2": tf.Qwen2Config(**SIZES, num_key_value_heads=2, num_hidden_layers=3, use_sliding_window=True,
                            sliding_window=5, max_window_layers=1, tie_word_embeddings=True),
    "qwen3": tf.Qwen3Config(**GROUPED, num_hidden_layers=2, attention_bias=True),
    "gemma2": tf.Gemma2Config(**GROUPED, num_hidden_layers=3, sliding_window=5, attn_logit_softcapping=2.0,
                              final_logit_softcapping=3.0, query_pre_attn_scalar=9),
    "gemma3": tf.Gemma3TextConfig(
        **GROUPED, num_hidden_layers=4, sliding_window=5, layer_types=[SLIDING, SLIDING, FULL, SLIDING],
        query_pre_attn_scalar=9, final_logit_softcapping=4.0, attention_bias=True,
        rope_parameters={FULL: LINEAR, SLIDING: {"rope_type": "default", "rope_theta": 30.0}},
    ),
    "smollm3": tf.SmolLM3Config(**SIZES, num_key_value_heads=2, num_hidden_layers=4, no_rope_layers=[1, 0, 1, 1],
                                attention_bias=True, mlp_bias=True),
    "gpt_neox": tf.GPTNeoXConfig(**SIZES, num_hidden_layers=2,
                                 rope_parameters={"rope_type": "default", "rope_theta": 100.0,
                                                  "partial_rotary_factor": 0.5}),
    "gpt_neox_serial": tf.GPTNeoXConfig(**SIZES, num_hidden_layers=2, use_parallel_residual=False,
                                        attention_bias=False, hidden_act="gelu_pytorch_tanh", tie_word_embeddings=True,
                                        rope_parameters={"rope_type": "default", "rope_theta": 100.0,
                                                         "partial_rotary_factor": 1.0}),
}  # fmt: skip


def make(name: str, config: tf.PreTrainedConfig) -> None:
    torch.manual_seed(len(name))
    folder = GOLDENS / name
    shutil.rmtree(folder, ignore_errors=True)
    model = tf.AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            scale = 0.4 if parameter.ndim > 1 else 0.3
            is_plain_norm = "norm" in parameter_name and parameter_name.endswith("weight") and "gemma" not in name
            values = torch.randn(parameter.shape) * scale + (1.0 if is_plain_norm else 0.0)
            parameter.copy_(values.to(torch.bfloat16).float())
        ids = torch.randint(0, V, (2, S))
        logits = model(ids).logits
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    np.savez_compressed(folder / "logits.npz", ids=ids.numpy().astype(np.int32), logits=logits.numpy())
    print(name, f"{sum(f.stat().st_size for f in folder.iterdir()):,} bytes", float(logits.std()))


def make_sharded() -> None:
    """Several files with an index, by another writer than ours, of the case `qwen3`."""
    folder = GOLDENS / "qwen3_sharded"
    shutil.rmtree(folder, ignore_errors=True)
    tf.AutoModelForCausalLM.from_pretrained(GOLDENS / "qwen3").save_pretrained(folder, max_shard_size="6KB")
    (folder / "generation_config.json").unlink(missing_ok=True)
    shutil.copy(GOLDENS / "qwen3" / "logits.npz", folder)


if __name__ == "__main__":
    for name, config in CASES.items():
        make(name, config)
    make_sharded()
