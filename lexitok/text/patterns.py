"""How common models with ByteLevel vocabularies cut text into words before they merge: facts about them, as published.

The patterns are those of the models' own `tokenizer.json` or, for the encodings of OpenAI, of the library tiktoken; the
names under which a GGUF asks for them (`tokenizer.ggml.pre`) are llama.cpp's.
"""

import dataclasses

_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_CASED = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+{s}|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*{s}|{n}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
# The same, with the marks of a script in its words: else those of Hindi or Khmer fall apart at every vowel sign.
GPT2_MARKS = r"'s|'t|'re|'ve|'m|'ll|'d| ?[\p{L}\p{M}]+| ?\p{N}+| ?[^\s\p{L}\p{M}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = rf"{_CONTRACTIONS}|{_WORD}|\p{{N}}{{1,3}}|{_REST}"
QWEN2 = rf"{_CONTRACTIONS}|{_WORD}|\p{{N}}|{_REST}"
QWEN35 = (
    rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}|"
    r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
O200K = _CASED.replace("{s}", f"{_CONTRACTIONS}?").replace("{n}", r"\p{N}{1,3}")
TEKKEN = _CASED.replace("{s}", "").replace("{n}", r"\p{N}")
# What OpenAI's library has for its first encodings: the same words as GPT2, and cl100k as LLAMA3 but for its newlines.
CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|"
    r"\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)
_DEEPSEEK3 = (
    r"\p{N}{1,3}",
    "[一-龥\u3040-ゟ゠-ヿ]+",
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|"""
    r" ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
)


@dataclasses.dataclass(frozen=True)
class PreTokenizer:
    """How text is cut.

    Attributes:
      patterns: each cuts what those before have left, into its matches and what is between them.
      normal_form: the Unicode normal form that text is brought to first; empty for none.
      whole_words: a word that is a token is that token, whatever its merges lead to.
    """

    patterns: tuple[str, ...]
    normal_form: str = ""
    whole_words: bool = False


_DIGITS_FIRST = PreTokenizer((r"\p{N}", GPT2))
_LLAMA3 = PreTokenizer((LLAMA3,), whole_words=True)
_QWEN2 = PreTokenizer((QWEN2,), normal_form="NFC")

GGUF_PRE: dict[str, PreTokenizer] = {
    "gpt-2": PreTokenizer((GPT2,)),
    "phi-2": PreTokenizer((GPT2,)),
    "olmo": PreTokenizer((GPT2,), normal_form="NFC"),
    "starcoder": _DIGITS_FIRST,
    "refact": _DIGITS_FIRST,
    "smollm": _DIGITS_FIRST,
    "command-r": dataclasses.replace(_DIGITS_FIRST, normal_form="NFC"),
    "llama-bpe": _LLAMA3,
    "llama3": _LLAMA3,
    "llama-v3": _LLAMA3,
    "falcon3": _LLAMA3,
    "dbrx": PreTokenizer((LLAMA3,)),
    "smaug-bpe": PreTokenizer((LLAMA3,)),
    "qwen2": _QWEN2,
    "deepseek-r1-qwen": _QWEN2,
    "qwen35": PreTokenizer((QWEN35,), normal_form="NFC"),
    "deepseek-v3": PreTokenizer(_DEEPSEEK3),
    "tekken": PreTokenizer((TEKKEN,), whole_words=True),
    "gpt-4o": PreTokenizer((O200K,)),
    "llama4": PreTokenizer((O200K,)),
}
