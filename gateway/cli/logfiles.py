"""Log files as `saraban logs` shows them: their last lines, and what is added."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

POLL_S: Final = 0.2
TAIL_OCTETS_MAX: Final = 4 * 1024 * 1024


def tail(file: Path, lines: int) -> list[str]:
    """The last lines of a file, within its last 4 MiB."""
    with file.open("rb") as log:
        log.seek(max(0, file.stat().st_size - TAIL_OCTETS_MAX))
        found = log.read().decode("utf-8", "replace").splitlines()
    return found[-lines:] if lines else []


def _pause() -> None:
    time.sleep(POLL_S)


def follow(files: Sequence[Path], pause: Callable[[], None] = _pause) -> Iterator[tuple[Path, str]]:
    """Whole lines as they are added to any of the files, from now on, for ever.

    pause: between one look at all of them and the next.
    """
    places = {file: file.stat().st_size for file in files}
    while True:
        for file, place in places.items():
            with file.open("rb") as log:
                log.seek(place)
                octets = log.read(TAIL_OCTETS_MAX)
            whole = octets[: octets.rfind(b"\n") + 1]
            places[file] = place + len(whole)
            for line in whole.decode("utf-8", "replace").splitlines():
                yield file, line
        pause()
