"""Small tokenizers to transfer between, and tables of random rows for them."""

import numpy as np

from lexitok.text.vocabulary import Encoding, Vocabulary

BYTES = tuple(bytes([b]) for b in range(256))
WORDS = (b"the", b" the", b"in", b"er", b" cat", b"at", b"123", b"12", "ö".encode())


class Greedy:
    """A tokenizer that takes the longest token from the left; it may put a space before every text."""

    def __init__(self, words, *, specials=("<s>", "</s>", "<pad>"), prefix=False, order=None):
        tokens = [*([b""] * len(specials)), *BYTES, *words]
        names = dict(enumerate(specials))
        order = range(len(tokens)) if order is None else order
        place = {old: new for new, old in enumerate(order)}
        tokens = tuple(tokens[i] for i in order)
        names = {place[i]: name for i, name in names.items()}
        ids = {name: i for i, name in names.items()}
        roles = {role: ids[s] for role, s in (("bos", "<s>"), ("eos", "</s>"), ("pad", "<pad>")) if s in ids}
        bos, eot, pad = (roles.get(role, min(names)) for role in ("bos", "eos", "pad"))
        self.vocabulary = Vocabulary(tokens, frozenset(names), bos, eot, pad, names=names, roles=roles)
        self._ids, self._prefix = {token: i for i, token in reversed(list(enumerate(tokens))) if token}, prefix

    def encode(self, data):
        data, ids, at = (b" " if self._prefix else b"") + data, [], 0
        while at < len(data):
            size = next(n for n in range(8, 0, -1) if data[at : at + n] in self._ids and at + n <= len(data))
            ids.append(self._ids[data[at : at + size]])
            at += size
        ids = np.array(ids, np.int32)
        return Encoding(ids, self.vocabulary.lengths[ids], lossy=self._prefix)

    def to_bytes(self):
        return b"greedy"


SOURCE = Greedy(WORDS)


def rows(tokenizer, D=6, seed=0):
    return np.random.default_rng(seed).normal(size=(tokenizer.vocabulary.size, D)).astype(np.float32)
