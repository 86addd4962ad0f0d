"""Rows drawn from the normal distribution that the source's rows have: their mean and covariance."""

import dataclasses

import numpy as np
import scipy.sparse

from lexitok.transfer.methods.method import Made, Problem


@dataclasses.dataclass(frozen=True)
class Gaussian:
    """Drawn around the mean of the source's rows of text, with their covariance times `scale` squared.

    With a small `scale` all new tokens begin as nearly the mean, and take little probability from the old ones
    (Hewitt, "Initializing new word embeddings for pretrained language models", 2021).
    """

    scale: float = 1.0

    def __call__(self, problem: Problem) -> Made:
        rows = problem.rows_UxD[problem.text_ids].astype(np.float64)
        mean_D, n, D = rows.mean(axis=0), len(problem.match.new), rows.shape[1]
        # The covariance is X'X / u of the centred rows: with z standard normal, z times its root has it.
        values, axes = np.linalg.eigh(np.cov(rows, rowvar=False, bias=True).reshape(D, D))
        root_DxD = axes * np.sqrt(np.maximum(values, 0.0))
        z = np.random.default_rng(problem.seed).standard_normal((n, D))
        made = mean_D + self.scale * (z @ root_DxD.T)
        return Made(made.astype(np.float32), scipy.sparse.csr_array((n, len(problem.rows_UxD)), dtype=np.float32))
