"""Models that installable packages carry: found without a download, run on one thread.

Operators run side by side in threads already, and one thread makes a result independent of how many cores there are.
"""

import importlib
import importlib.util
from pathlib import Path
from typing import Any

from manifests.errors import MissingDependencyError


def require(module: str, extra: str) -> Any:
    """The imported ``module`` of an optional package. Raises `MissingDependencyError` naming the extra that brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise missing(module, extra) from error


def packaged_file(module: str, path: str, extra: str) -> Path:
    """A file that the package of ``module`` carries; the package is not imported. Raises `MissingDependencyError`."""
    spec = importlib.util.find_spec(module)
    file = Path(spec.origin).parent / path if spec and spec.origin else None
    if file is None or not file.is_file():
        raise missing(f"{module} (with its {path})", extra)
    return file


def cpu_session(file: Path, extra: str) -> Any:
    """An onnxruntime ``InferenceSession`` on one CPU thread; ``run`` may be called by several threads at once."""
    onnxruntime = require("onnxruntime", extra)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def missing(what: str, extra: str) -> MissingDependencyError:
    return MissingDependencyError(f"The optional package {what} is not installed. Install it with: pip install 'goldsieve[{extra}]'")
