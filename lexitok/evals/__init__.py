"""Measuring models on whole documents, all in bits per byte of the same raw bytes."""

from lexitok.evals.compressors import compressed_bpb, order0_entropy
from lexitok.evals.evaluate import Evaluation, EvaluationError, evaluate
from lexitok.evals.perturbations import PERTURBATIONS, PerturbationError, perturb
from lexitok.evals.robustness import probe
from lexitok.evals.tally import DocumentScore
from lexitok.runs.documents import DocumentScores, DocumentsError, read_documents, write_documents

__all__ = [
    "PERTURBATIONS",
    "DocumentScore",
    "DocumentScores",
    "DocumentsError",
    "Evaluation",
    "EvaluationError",
    "PerturbationError",
    "compressed_bpb",
    "evaluate",
    "order0_entropy",
    "perturb",
    "probe",
    "read_documents",
    "write_documents",
]
