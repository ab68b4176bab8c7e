"""Machine code for inner loops. Import it only where such a loop is about to run: it loads Numba."""

from collections.abc import Callable
from typing import Any

import numba


def compiled(function: Callable[..., Any], signature: Any = None, **options: Any) -> Any:
    """Machine code for ``function``, kept on disk where Numba finds a folder it may write to.

    With a ``signature`` it is made at once, else at the first call.
    """
    try:
        return numba.njit(signature, cache=True, **options)(function)
    except RuntimeError:  # no such folder: compiled anew in every process
        return numba.njit(signature, **options)(function)
