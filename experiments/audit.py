"""Whether bits per byte are bits per byte: tokens against bytes, and what known mistakes would make of the number.

python experiments/audit.py --tokenizer=models/smollm --data='books/*.txt'
python experiments/audit.py --tokenizer=models/gemma.gguf --data=valid.jsonl --log=theirs.jsonl --json=audit.json
python experiments/audit.py --run=runs/hat --save_log=ours.jsonl
python experiments/audit.py --tokenizer=models/smollm --written=samples.jsonl

A log has a line for each document: {"ids": [...], "logprobs": [...], "bytes": [...]}, the last two if they are known:
natural logarithms (null where a token was not scored), and for how many bytes each token was counted. A run's own
tokens are scored by its model, on its validation text if no --data is given. Of what a model wrote ({"ids": [...]}, a
line each) it is said whether the tokenizer would make these tokens of the text, and whether it is text. Without a run
no JAX is loaded.
"""

import json
from pathlib import Path

from absl import flags

from lexitok.config.flags import run
from lexitok.data.given import given_documents, given_tokenizer
from lexitok.data.readers import RawDocument
from lexitok.text.audit import Audit, AuditError, audit, drift, read_log, write_log
from lexitok.text.vocabulary import Tokenizer

TOKENIZER = flags.DEFINE_string("tokenizer", None, "A file or directory; see lexitok/text/tokenizer_files.py.")
RUN = flags.DEFINE_string("run", None, "Directory of a run, in place of a tokenizer.")
DATA = flags.DEFINE_string("data", None, "A file or a glob, or KIND:GLOB; compressed or not.")
FIELD = flags.DEFINE_string("field", "text", "Of a record, that holds the text.")
MAX_BYTES = flags.DEFINE_integer("max_bytes", 0, "Of whole documents; 0: all.", lower_bound=0)
LOG = flags.DEFINE_string("log", None, "Somebody's own tokens of the documents, JSONL.")
WINDOW = flags.DEFINE_integer(
    "window", 0, "What would come out if documents were cut at so many tokens.", lower_bound=0
)
WRITTEN = flags.DEFINE_string("written", None, "Tokens that a model of the tokenizer wrote, JSONL.")
JSON = flags.DEFINE_string("json", None, "File for all of it, document by document.")
SAVE_LOG = flags.DEFINE_string("save_log", None, "File for the run's log, for others to check.")


def check_flags() -> None:
    """Raises AuditError for flags that do not go together, before anything is read."""
    run, text = RUN.value, RUN.value or DATA.value
    wrong = {
        "say either --tokenizer or --run": bool(TOKENIZER.value) == bool(run),
        "--log, --written and --window are of a tokenizer": run and (LOG.value or WRITTEN.value or WINDOW.value),
        "--save_log is of a run": SAVE_LOG.value and not run,
        "say --data, of a text, or --written, or both": not (text or WRITTEN.value),
        "--log, --window and --json want --data": not text and (LOG.value or WINDOW.value or JSON.value),
    }
    wrong |= {
        f"{path}: there is no such folder": path and not Path(path).parent.is_dir()
        for path in (JSON.value, SAVE_LOG.value)
    }
    for message, is_so in wrong.items():
        if is_so:
            raise AuditError(message)


def given() -> list[RawDocument]:
    return list(given_documents(DATA.value or "", FIELD.value, MAX_BYTES.value))


def of_tokenizer(tokenizer: Tokenizer) -> Audit:
    logs = None if LOG.value is None else read_log(Path(LOG.value))
    return audit(tokenizer, [(document.id, document.data) for document in given()], logs, window=WINDOW.value)


def of_run(path: str) -> Audit:
    from lexitok.analysis import read_run
    from lexitok.analysis.auditing import audit_run, own_documents

    which = read_run(path)
    found, logs = audit_run(which, given() if DATA.value else own_documents(which, MAX_BYTES.value))
    if SAVE_LOG.value:
        write_log(Path(SAVE_LOG.value), logs)
    return found


def main() -> None:
    check_flags()
    tokenizer = None if TOKENIZER.value is None else given_tokenizer(TOKENIZER.value)
    if WRITTEN.value and tokenizer is not None:
        print(drift(tokenizer, (log.ids for log in read_log(Path(WRITTEN.value)))).line())
    if tokenizer is not None and DATA.value is None:
        return
    found = of_run(RUN.value or "") if tokenizer is None else of_tokenizer(tokenizer)
    print("\n".join(found.lines()))
    if JSON.value:
        Path(JSON.value).write_text(json.dumps(found.to_json(), indent=1) + "\n")


if __name__ == "__main__":
    run(main)
