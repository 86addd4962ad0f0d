"""Rank files whose pattern and specials are known by their names: they are not in the file."""

import pathlib

from lexitok.text.patterns import CL100K, GPT2, LLAMA3, O200K
from lexitok.text.tiktoken_tokenizer import TiktokenTokenizer

_END = "<|endoftext|>"
_FIM = ("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")
_LLAMA3_NAMED = {
    0: "<|begin_of_text|>",
    1: "<|end_of_text|>",
    6: "<|start_header_id|>",
    7: "<|end_header_id|>",
    9: "<|eot_id|>",
}


def _llama3() -> dict[str, int]:
    reserved = iter(range(256))
    names = (_LLAMA3_NAMED.get(i) or f"<|reserved_special_token_{next(reserved)}|>" for i in range(256))
    return {name: 128_000 + i for i, name in enumerate(names)}


# Name → pattern and specials: those of OpenAI's library, and Llama 3 as Meta publishes it (tokenizer.model).
RANK_FILES: dict[str, tuple[str, dict[str, int]]] = {
    "r50k_base": (GPT2, {_END: 50_256}),
    "p50k_base": (GPT2, {_END: 50_256}),
    "cl100k_base": (
        CL100K,
        {_END: 100_257, **{name: 100_258 + i for i, name in enumerate(_FIM)}, "<|endofprompt|>": 100_276},
    ),
    "o200k_base": (O200K, {_END: 199_999, "<|endofprompt|>": 200_018}),
    "llama3": (LLAMA3, _llama3()),
}


BYTES = "bytes"  # the name of the tokenizer without any merge


def byte_tokenizer() -> TiktokenTokenizer:
    """A token for each byte, in their order, and `<bos>`, `<eos>` and `<pad>` behind them."""
    specials = {name: 256 + i for i, name in enumerate(("<bos>", "<eos>", "<pad>"))}
    ranks = {bytes([byte]): byte for byte in range(256)}
    return TiktokenTokenizer(ranks, pattern=GPT2, specials=specials, name=BYTES)


def load_rank_file(data: bytes, name: str) -> TiktokenTokenizer:
    """The tokenizer of a rank file that is known by its name; one of 128,000 ranks and another name is Llama 3's.

    Raises:
      ValueError: the name is not in `RANK_FILES`, or the file is damaged.
    """
    stem = pathlib.PurePath(name).stem
    if stem not in RANK_FILES and len(data.splitlines()) == 128_000:
        stem = "llama3"
    if stem not in RANK_FILES:
        raise ValueError(
            f"{name}: a rank file says neither its pattern nor its specials, and those known here by the file's name "
            f"are {', '.join(RANK_FILES)}; give both to TiktokenTokenizer.from_rank_file"
        )
    pattern, specials = RANK_FILES[stem]
    return TiktokenTokenizer.from_rank_file(data, pattern=pattern, specials=specials, name=name)
