"""What Linux shows of processes in /proc, read while they start and end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")

GONE = (FileNotFoundError, ProcessLookupError)  # ended between the listing and the reading: ENOENT, or ESRCH while read


def children_of(pid: int) -> list[int]:
    """Return the processes whose parent is `pid`, in the order of their ids; those that have ended are left out.

    Read from each process's own entry: the lists below /proc/PID/task belong to threads, and threads end meanwhile.
    """
    return sorted(child for child, (state, parent) in _processes() if parent == pid and state not in "ZX")


def command_of(pid: int) -> bytes:
    """Return the command line of a process, its arguments separated by NUL; empty once it has ended."""
    with suppress(*GONE):
        return (PROC / f"{pid}" / "cmdline").read_bytes()
    return b""


def open_files() -> list[str]:
    """Return the paths of the files that this process has open."""
    found = []
    for descriptor in (PROC / "self/fd").iterdir():
        with suppress(*GONE):
            found.append(str(descriptor.readlink()))
    return found


def _processes() -> Iterator[tuple[int, tuple[str, int]]]:
    """Give each process with its state and its parent."""
    for entry in PROC.iterdir():
        if entry.name.isdecimal():
            with suppress(*GONE):
                state, parent = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
                yield int(entry.name), (state, int(parent))
