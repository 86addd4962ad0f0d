"""The metadata of a GGUF as the keys of a `config.json`, so that a family has to know only one kind of them.

What the metadata do not say is what llama.cpp has written into its code (`src/models/*.cpp`); the families say it.
"""

import math
from typing import Any

import numpy as np

from lexitok.hub.gguf_files import GgufFile
from lexitok.hub.stored_tensors import HubError

FREQUENCIES = "rope_freqs.weight"  # divisors of the rotary frequencies: how a GGUF has Llama 3.1's rescaling
_LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
_NEUTRAL = ("context_length", "vocab_size", "rope.scaling.finetuned", "rope.scaling.original_context_length")


class GgufMetadata:
    """The metadata of one architecture. Keys that nobody has asked for are refused: they may change the function."""

    def __init__(self, file: GgufFile):
        self.file = file
        self.architecture = str(file.metadata.get("general.architecture", ""))
        self._read = {f"{self.architecture}.{name}" for name in _NEUTRAL}

    def get(self, name: str, default: Any = None) -> Any:
        """The value of `ARCHITECTURE.name`."""
        key = f"{self.architecture}.{name}"
        self._read.add(key)
        return self.file.metadata.get(key, default)

    def number(self, name: str, default: Any = None) -> Any:
        """A value that has to be one number.

        Raises:
          HubError: it is something else, or missing and there is no default.
        """
        value = self.get(name, default)
        if type(value) not in (int, float):
            raise HubError(f"{self.file.path}: '{self.architecture}.{name}' is {value!r:.100}; it has to be a number")
        return value

    def common(self) -> dict[str, Any]:
        """Keys that all families have."""
        H = self.number("attention.head_count")
        D = self.number("embedding_length")
        N = self.number("attention.key_length", self.number("rope.dimension_count", D // H if H else 0))
        rows = self._table_rows()
        metadata = self.file.metadata
        return {
            "hidden_size": D,
            "num_hidden_layers": self.number("block_count"),
            "num_attention_heads": H,
            "num_key_value_heads": self.number("attention.head_count_kv", H),
            "head_dim": N,
            "intermediate_size": self.number("feed_forward_length"),
            "rms_norm_eps": self.get("attention.layer_norm_rms_epsilon"),
            "vocab_size": rows,
            "tie_word_embeddings": "output.weight" not in self.file.tensors,
            "attention_bias": "blk.0.attn_output.bias" in self.file.tensors,  # the metadata have no word for biases
            "mlp_bias": "blk.0.ffn_up.bias" in self.file.tensors,
            "max_position_embeddings": metadata.get(f"{self.architecture}.context_length"),
            "bos_token_id": metadata.get("tokenizer.ggml.bos_token_id"),
            "eos_token_id": metadata.get("tokenizer.ggml.eos_token_id"),
            "pad_token_id": metadata.get("tokenizer.ggml.padding_token_id"),
        }

    def rotary(self, N: int) -> dict[str, Any]:
        """`rope_theta` and `rope_scaling`; all `N` of a head's width are rotated."""
        if self.number("rope.dimension_count", N) != N or self.number("attention.value_length", N) != N:
            raise HubError(f"{self.file.path}: heads are {N} wide, and rotary positions or values are not")
        return {"rope_theta": float(self.number("rope.freq_base", 10_000.0)), "rope_scaling": self._scaling(N)}

    def done(self) -> None:
        """Raises a `HubError` for metadata of the architecture that nobody has asked for."""
        prefix = f"{self.architecture}."
        unread = [k for k in self.file.metadata if k.startswith(prefix) and k not in self._read]
        if unread:
            raise HubError(
                f"{self.file.path}: lexitok does not know what the metadata {', '.join(sorted(unread)[:5])} mean for "
                f"the architecture '{self.architecture}'"
            )

    def _table_rows(self) -> int:
        if "token_embd.weight" not in self.file.tensors:
            raise HubError(f"{self.file.path} has no tensor 'token_embd.weight': it is no language model")
        return self.file.tensors["token_embd.weight"].shape[0]

    def _scaling(self, N: int) -> dict[str, Any] | None:
        kind = self.get("rope.scaling.type", "none")
        factor = self.get("rope.scaling.factor")
        if FREQUENCIES in self.file.tensors:
            return self._llama3(N)
        if kind == "none" or (kind == "linear" and factor in (None, 1.0)):
            return None
        return {"rope_type": kind, "factor": factor}

    def _llama3(self, N: int) -> dict[str, Any]:
        """Llama 3.1's rescaling: in the published models only the factor differs; the rest is checked."""
        found = self.file.tensors[FREQUENCIES].all().astype(np.float64)
        base, factor = float(self.number("rope.freq_base", 10_000.0)), float(found.max())
        low, high, context = _LLAMA3.values()
        turns = context * base ** (-np.arange(N // 2) / (N // 2)) / (2 * math.pi)
        kept = np.clip((turns - low) / (high - low), 0.0, 1.0)
        if found.shape != kept.shape or not np.allclose(found, 1 / (kept + (1 - kept) / factor), rtol=1e-4):
            raise HubError(
                f"{self.file.path}: '{FREQUENCIES}' is not the rescaling of Llama 3.1 or 3.2, which is known"
            )
        return {"rope_type": "llama3", "factor": factor, **_LLAMA3}
