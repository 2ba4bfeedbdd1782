"""Measuring in a process of its own: time, processor time, and the most memory it ever held."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, ParamSpec, TypeVar

import psutil

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Run:
    """What some work took.

    Attributes:
        wall_s: Seconds by the clock.
        cpu_s: Seconds of processors, all threads and the system's part together.
        peak_bytes: Most memory that the process ever held, its imports included.
        result: What the work returned.
    """

    wall_s: float
    cpu_s: float
    peak_bytes: int
    result: Any


def fresh(
    work: Callable[Arguments, Result], *args: Arguments.args, **kw: Arguments.kwargs
) -> Result:
    """Call a function of a module in a new process, on every system in the same way."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(work, *args, **kw).result()


def timed(work: Callable[[], Any], repeats: int = 1) -> Run:
    """Call a function some times; return the medians, and the last result."""
    walls, cpus, result = [], [], None
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return Run(median(walls), median(cpus), peak_bytes(), result)


def peak_bytes() -> int:
    """Return the most memory that this process ever held.

    On Linux from the kernel's own mark of this program: `ru_maxrss` begins with what the process
    held that started this one.
    """
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    if sys.platform == "linux":
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024
    import resource  # noqa: PLC0415  Windows has none

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
