"""Measuring models on whole documents, all in bits per byte of the same raw bytes."""

from lexitok.evals.compressors import compressed_bpb, order0_entropy
from lexitok.evals.evaluate import Evaluation, EvaluationError, evaluate
from lexitok.evals.tally import DocumentScore

__all__ = ["DocumentScore", "Evaluation", "EvaluationError", "compressed_bpb", "evaluate", "order0_entropy"]
