"""What is said on top of data that are not the provider's own answers."""

from __future__ import annotations


def origin(*, simulated: bool, emulated: bool) -> str:
    """Return a sentence on where data come from; empty for the provider's own.

    Args:
        simulated: They come from the simulated market.
        emulated: They come from an emulator, of whatever data.
    """
    if simulated:
        return (
            "Simulated data: this market was made up by the emulator. Nothing on this page says "
            "anything about real stocks."
        )
    if emulated:
        return (
            "Data from an emulator on this machine, simulated or recorded: not the provider's own "
            "answers."
        )
    return ""
