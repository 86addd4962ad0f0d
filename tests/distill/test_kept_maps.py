"""Maps between vocabularies are found once, and never taken for those of others."""

import numpy as np
import pytest
from pairs import Others
from samples import Pairs

from lexitok.distill.edit_distance import nearest_by_edits
from lexitok.distill.kept_maps import FOLDER, cache, kept_map


@pytest.fixture
def vocabularies(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    return Others().vocabulary, Pairs().vocabulary


def test_a_map_is_found_once(vocabularies):
    """The second time nothing is looked for; of vocabularies the other way round, or of another rule, it is."""
    ours, theirs = vocabularies
    found = kept_map("numbers", ours, theirs, lambda: np.arange(3))
    assert kept_map("numbers", ours, theirs, lambda: 1 / 0).tolist() == found.tolist() == [0, 1, 2]
    for name, pair in {"numbers": (theirs, ours), "others": (ours, theirs)}.items():
        assert kept_map(name, *pair, lambda: np.arange(2)).tolist() == [0, 1]


@pytest.mark.parametrize("content", [b"", b"nothing", None])
def test_a_file_that_is_cut_is_made_anew(vocabularies, content):
    """And replaced; a folder in its place costs only time."""
    first = nearest_by_edits(*vocabularies)
    (file,) = cache().iterdir()
    file.unlink()
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    assert nearest_by_edits(*vocabularies).tolist() == first.tolist()
    assert content is None or np.load(file).tolist() == first.tolist()
