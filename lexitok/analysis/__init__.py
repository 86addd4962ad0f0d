"""What notebooks and `experiments/compare.py` call: read a run, compare runs, load a model, look into it."""

from lexitok.analysis.compare import compare_runs, markdown_table, text_table, write_comparison
from lexitok.analysis.geometry import frequent_letters, geometry_figure, geometry_table
from lexitok.analysis.moved_tokens import classes_table, costs_figure, token_costs, tokens_table
from lexitok.analysis.parameter_tables import array_table, parameters_table, render_tree
from lexitok.analysis.plots import bpb_figure, learning_curves, save, to_png
from lexitok.analysis.probe_reports import layers_report
from lexitok.analysis.subjects import open_subjects
from lexitok.analysis.surprisal import byte_bits, page_of, surprisal_page
from lexitok.analysis.vectors import frequent_units, neighbour_table, neighbours, unit_vectors
from lexitok.runs.load import load_model, validation_documents
from lexitok.runs.run import Run, RunError, read_run
from lexitok.transfer.provenance import read_lines

__all__ = [
    "Run",
    "RunError",
    "array_table",
    "bpb_figure",
    "byte_bits",
    "classes_table",
    "compare_runs",
    "costs_figure",
    "frequent_letters",
    "frequent_units",
    "geometry_figure",
    "geometry_table",
    "layers_report",
    "learning_curves",
    "load_model",
    "markdown_table",
    "neighbour_table",
    "neighbours",
    "open_subjects",
    "page_of",
    "parameters_table",
    "read_lines",
    "read_run",
    "render_tree",
    "save",
    "surprisal_page",
    "text_table",
    "to_png",
    "token_costs",
    "tokens_table",
    "unit_vectors",
    "validation_documents",
    "write_comparison",
]
