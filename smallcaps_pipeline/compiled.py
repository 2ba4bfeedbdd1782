"""Compilation of loops by numba, with the machine code kept between processes.

numba's own cache looks only at the file of the function itself: what it took in from another file
of the stage would stay as it was when that file changes. So the code of a folder's loops is kept
under a name made from the content of the whole folder, and of the modules that all may use.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

import numba
import numpy as np

from smallcaps_pipeline import thresholds

config: Any = numba.config  # its names are made as it is imported
Array = np.ndarray[Any, Any]
Function = TypeVar("Function", bound=Callable[..., Any])

HERE: Final = Path(__file__).parent
SHARED: Final = ("compiled.py", "thresholds.py", "sessions.py", "session_kernel.py")
PREFIX: Final = "compiled-"
OPTIONS: Final[Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "forceinline": True,
    "_nrt": False,
}


def cache_folder(file: Path) -> str:
    """Return where the machine code of a file is kept; numba looks elsewhere if it cannot write."""
    home = Path(config.CACHE_DIR) if config.CACHE_DIR else file.parent / "__pycache__"
    folder = home / f"{PREFIX}{content_of(file.parent)}"
    if not config.CACHE_DIR and not folder.exists():
        for outdated in home.glob(f"{PREFIX}*"):
            shutil.rmtree(outdated, ignore_errors=True)
    return str(folder)


@cache
def content_of(folder: Path) -> str:
    """Return a digest of all that the loops of a folder can be made from."""
    digest = hashlib.blake2b(digest_size=8)
    for file in [*sorted(folder.glob("*.py")), *(HERE / name for name in SHARED)]:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def compiled(function: Function) -> Function:
    """Compile a function over numbers and arrays; it runs without holding the interpreter's lock.

    It allocates nothing: what it fills in, it is handed. So numba need not count references, which
    for a tuple of twenty arrays took fifty times as long as the work itself; and calls are taken
    into the caller, so that small functions cost nothing. Division by zero gives inf or nan.
    The undecorated function stays at hand as `function.py_func`.
    """
    before, config.CACHE_DIR = config.CACHE_DIR, cache_folder(Path(function.__code__.co_filename))
    try:
        made: Function = numba.njit(**OPTIONS)(function)
    finally:
        config.CACHE_DIR = before
    return made


at_least = compiled(thresholds.at_least)
at_most = compiled(thresholds.at_most)
above = compiled(thresholds.above)
below = compiled(thresholds.below)


def read_only(values: Array) -> Array:
    """Return a view that cannot be written to.

    Whether polars hands out a view or a copy depends on nulls and chunks; for numba the two are
    types of their own, and each combination of them would be compiled anew.
    """
    view = values.view()
    view.flags.writeable = False
    return view
