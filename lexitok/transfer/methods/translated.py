"""A new token's row from those of the source's tokens that it is translated by: Trans-Tokenization (arXiv 2408.04303).

For a model of one language and a tokenizer of another: from the words of a parallel text that are translations of each
other follows how often a token of the one stands where a token of the other does, and a row is the mean of rows by
those counts (section 3). How the counts are made is another matter (`lexitok.transfer.translation`). The paper makes
all rows so, with maps of its own for numbers and punctuation; here tokens of the same bytes keep theirs.
"""

import dataclasses

import numpy as np
import scipy.sparse

from lexitok.transfer.errors import TransferError
from lexitok.transfer.methods.method import Made, Problem, combined, scaled
from lexitok.transfer.methods.similarity import or_mean


@dataclasses.dataclass(frozen=True, eq=False)
class Translated:
    """The mean of the rows of a token's translations. A token that has none has the mean of its parts.

    Attributes:
      translations_VxU: sparse, how often a token of the target is translated by one of the source.
    """

    translations_VxU: scipy.sparse.csr_array

    def __call__(self, problem: Problem) -> Made:
        shape = (problem.target.vocabulary.size, problem.source.vocabulary.size)
        if self.translations_VxU.shape != shape:
            raise TransferError(f"translated: translations of shape {self.translations_VxU.shape}, not {shape}")
        counts = self.translations_VxU.data
        if not (np.isfinite(counts).all() and (counts >= 0).all()):
            raise TransferError("translated: a count of translations is negative, or not finite")
        found = scipy.sparse.csr_array(self.translations_VxU[problem.match.new], dtype=np.float64)
        total = np.asarray(found.sum(axis=1))
        scale = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
        return combined(problem, or_mean(problem, scipy.sparse.csr_array(scaled(found, scale), dtype=np.float32)))
