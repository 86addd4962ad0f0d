"""Parts of a `tokenizer.json`, the file of the `tokenizers` library, that more than one writer needs."""

from collections.abc import Iterable, Mapping
from typing import Any

BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}


def bpe(ids: Mapping[str, int], merges: list[list[str]], *, whole_words: bool = False) -> dict[str, Any]:
    """A BPE model without dropout, fallbacks or affixes.

    Args:
      ids: by the token's spelling.
      merges: pairs of spellings, those of the highest rank first.
      whole_words: a word that is a token is taken whole, whether its merges lead to it or not.
    """
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": whole_words,
        "vocab": dict(ids),
        "merges": merges,
    }


def cut_then_bytes(patterns: Iterable[str]) -> dict[str, Any]:
    """The pre-tokenizer that cuts at the matches of each pattern in turn, and spells bytes as characters."""
    cuts = [{"type": "Split", "pattern": {"Regex": p}, "behavior": "Isolated", "invert": False} for p in patterns]
    return {"type": "Sequence", "pretokenizers": [*cuts, BYTE_LEVEL]}


def added_token(i: int, content: str, *, special: bool, normalized: bool = False) -> dict[str, Any]:
    """A token that is found in the text before the model sees it; in the normalised one if `normalized`."""
    where = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": normalized}
    return {"id": i, "content": content, **where, "special": special}
