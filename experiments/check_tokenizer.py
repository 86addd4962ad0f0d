"""Whether a tokenizer gives its own library's tokens, and what it loses on a text, file by file.

python experiments/check_tokenizer.py --tokenizer=models/gemma.gguf --data='jsonl:data/*.validation.jsonl.xz'
python experiments/check_tokenizer.py --tokenizer=models/smollm --data='text:books/*.txt' --max_bytes=1000000
"""

from collections.abc import Iterator
from pathlib import Path

from absl import flags

from lexitok.config.flags import run
from lexitok.data.given import given_files, given_tokenizer
from lexitok.data.readers import READERS
from lexitok.text.tokenizer_checks import check_tokenizer, describe

TOKENIZER = flags.DEFINE_string(
    "tokenizer", None, "A file or directory; see lexitok/text/tokenizer_files.py.", required=True
)
DATA = flags.DEFINE_string("data", None, "A file or a glob, or KIND:GLOB; compressed or not.", required=True)
FIELD = flags.DEFINE_string("field", "text", "Of a record, that holds the text.")
MAX_BYTES = flags.DEFINE_integer("max_bytes", 300_000, "Of each file; whole documents.", lower_bound=1)


def read(kind: str, path: Path) -> Iterator[bytes]:
    """The first documents of a file, until there are as many bytes as wanted."""
    total = 0
    for document in READERS[kind](path, path.name, FIELD.value):
        if total >= MAX_BYTES.value:
            return
        total += len(document.data)
        yield document.data


def main() -> None:
    files, tokenizer = given_files(DATA.value), given_tokenizer(TOKENIZER.value)
    print(describe(tokenizer.vocabulary))
    for kind, path in files:
        check = check_tokenizer(tokenizer, read(kind, path))
        print(f"{path.name}: {check.line()}")
        if not check.losses.exact:
            print("\n".join(f"  {line}" for line in check.losses.lines()))


if __name__ == "__main__":
    run(main)
