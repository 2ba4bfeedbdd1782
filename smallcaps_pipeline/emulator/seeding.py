"""Random numbers that depend on what they are for, and on nothing else.

Belongs here: the generator of a (seed, symbol, day, purpose).
Keep out: what is drawn from it.

A generator is seeded from a BLAKE2 hash of its parts, not from Python's `hash` (salted per process)
nor from a running stream (which would make one day depend on the days asked for before). Prices are
rounded to ticks before they leave, so that a last bit that differs between two processors' `exp`
does not show.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Codes: TypeAlias = npt.NDArray[np.uint8]
Mask: TypeAlias = npt.NDArray[np.bool_]
Rng: TypeAlias = np.random.Generator


def stable_number(*parts: Any) -> int:
    """Return a 128-bit number that is the same for the same parts on every machine."""
    text = "|".join(str(part) for part in parts)
    return int.from_bytes(blake2b(text.encode(), digest_size=16).digest(), "little")


def stable_rng(*parts: Any) -> Rng:
    """Return a generator whose stream depends on `parts` only."""
    return np.random.Generator(np.random.PCG64(stable_number(*parts)))


def stable_fraction(*parts: Any) -> float:
    """Return a number in [0, 1) that depends on `parts` only."""
    return (stable_number(*parts) >> 75) / 2.0**53
