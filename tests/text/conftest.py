"""Small tokenizers of every kind, trained by the libraries themselves."""

import json

import pytest
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

TEXT = [
    "def split(text):\n    return text.split()\n\n\nclass Splitter:\n\t'''Splits.'''\n",
    "Der Schnee f\u00e4llt; the snow falls, \u96ea\u304c\u964d\u308b. 12 + 30 = 42\r\n",
] * 30
SPECIALS = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]


def _train(model, trainer, *, normalizer=None, pre=None, decoder=None):
    made = tokenizers.Tokenizer(model)
    for part, value in (("normalizer", normalizer), ("pre_tokenizer", pre), ("decoder", decoder)):
        if value is not None:
            setattr(made, part, value)
    made.train_from_iterator(TEXT, trainer)
    return json.loads(made.to_str())


def byte_level(*words):
    pre = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    made = _train(models.BPE(), trainer, pre=pre, decoder=decoders.ByteLevel())
    made["model"]["vocab"].update({word: len(made["model"]["vocab"]) + i for i, word in enumerate(words)})
    return _adding(made, ["<|endoftext|>", *SPECIALS[3:]], ["caf\u00e9", "<tool>"])


def byte_level_prefixed():
    made = byte_level()
    made["pre_tokenizer"]["add_prefix_space"] = True
    return made


def byte_level_whole():
    """Words that are tokens are that token, as in Llama 3; one of them no merge leads to."""
    made = byte_level("\u0120zzz")
    made["model"]["ignore_merges"] = True
    return made


def byte_fallback():
    """SentencePiece-style BPE as in Llama 2: a space before the text, and byte tokens."""
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=SPECIALS, show_progress=False)
    spaces = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    made = _train(models.BPE(unk_token="<unk>", fuse_unk=True), trainer, normalizer=spaces, pre=_words())
    made["pre_tokenizer"] = None
    made["model"]["byte_fallback"] = True
    vocabulary = made["model"]["vocab"]
    vocabulary.update({f"<0x{byte:02X}>": len(vocabulary) + byte for byte in range(256)})
    decode = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    made["decoder"] = json.loads(decoders.Sequence(decode).__getstate__())
    return made


def _words():
    return pre_tokenizers.Split(tokenizers.Regex("\u2581*[^\u2581]+|\u2581+"), "isolated")


def metaspace():
    """The same with the newer way to put the space there, and none where the text begins with one."""
    made = byte_fallback()
    made["normalizer"] = None
    made["pre_tokenizer"] = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": False}
    return made


def byte_fallback_bare():
    """The same without the space: exact for any bytes, as in Gemma."""
    made = byte_fallback()
    made["normalizer"] = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
    return made


def unigram():
    """As T5 and XLM-R: NFKC, a space before the text, specials among the pieces, unknown characters."""
    trainer = trainers.UnigramTrainer(vocab_size=120, special_tokens=SPECIALS, unk_token="<unk>", show_progress=False)
    return _train(
        models.Unigram(),
        trainer,
        normalizer=normalizers.NFKC(),
        pre=pre_tokenizers.Metaspace(),
        decoder=decoders.Metaspace(),
    )


def word_piece():
    """As BERT: lower case, no accents, white space dropped, unknown words."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=200, special_tokens=specials, show_progress=False)
    return _train(
        models.WordPiece(unk_token="[UNK]"),
        trainer,
        normalizer=normalizers.BertNormalizer(),
        pre=pre_tokenizers.BertPreTokenizer(),
        decoder=decoders.WordPiece(),
    )


def _adding(content, specials, others):
    made = tokenizers.Tokenizer.from_str(json.dumps(content))
    made.add_special_tokens(specials)
    made.add_tokens(others)
    return json.loads(made.to_str())


MADE = {
    make.__name__: make
    for make in (
        *(byte_level, byte_level_prefixed, byte_level_whole, byte_fallback, byte_fallback_bare, metaspace),
        *(unigram, word_piece),
    )
}


@pytest.fixture(scope="session")
def made():
    """Kind → the bytes of a `tokenizer.json`."""
    return {kind: json.dumps(make()).encode() for kind, make in MADE.items()}
