"""Downloads from the Hugging Face hub: only what was asked for by name, through its own library."""

from pathlib import Path

from lexitok.hub.stored_tensors import HubError

PREFIX = "hf:"
# Weights, settings and tokenizers; never code, nor pickles.
PATTERNS = ("*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json", "tokenizer*",
            "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "tekken.json")  # fmt: skip


def fetch(name: str) -> Path:
    """Where a model of the hub lies on this machine after it was downloaded; what is there already is not fetched.

    Args:
      name: `OWNER/NAME`, or `OWNER/NAME@REVISION`.

    Raises:
      HubError: the library is missing, there is no such model, or the hub cannot be reached.
    """
    model, _, revision = name.partition("@")
    if model.count("/") != 1 or not all(model.split("/")):
        raise HubError(f"'{PREFIX}{name}' names no model: write {PREFIX}OWNER/NAME")
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise HubError(f"downloading {model} needs the package huggingface_hub; install it") from error
    try:
        found = snapshot_download(model, revision=revision or None, allow_patterns=list(PATTERNS))
    except (OSError, ValueError) as error:
        raise HubError(f"{model} could not be downloaded: {error}") from error
    return Path(found)
