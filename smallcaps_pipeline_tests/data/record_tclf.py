"""Record what tclf says of trades on integer ticks, for `micro/test_tclf.py`.

tclf (KarelZe/tclf, BSD) is a third-party reading of the same papers; it is no dependency. Run in an
environment of its own, where it is installed:

    uv run --no-project --with tclf python smallcaps_pipeline_tests/data/record_tclf.py

Prices are whole numbers of ticks: tclf compares doubles, loosely, so only there is it exact. The
first trades have no quote. tclf takes the last different price as an input; it is found here.
"""

from __future__ import annotations

import csv
import random
from pathlib import Path

METHODS = {"tick": "tick", "quote": "quote", "lee_ready": "lr", "emo": "emo", "clnv": "clnv"}
ROWS, WITHOUT_QUOTE = 600, 30
NOTHING = float("nan")


def make_rows() -> list[list[float]]:
    """Return rows of price, last different price, bid, ask; spreads of 0 to 20 ticks."""
    draw, price, rows = random.Random(7), 1000, []
    history: list[int] = []
    for number in range(ROWS):
        spread = draw.choice([0, 1, 1, 2, 2, 3, 4, 5, 7, 10, 20])
        bid = price - draw.randint(0, spread)
        ask = bid + spread
        price = draw.choice([bid, ask, price, draw.randint(bid - 1, ask + 1)])
        lag = next((earlier for earlier in reversed(history) if earlier != price), NOTHING)
        quoted = [bid, ask] if number >= WITHOUT_QUOTE else [NOTHING, NOTHING]
        rows.append([price, lag, *quoted])
        history.append(price)
    return rows


def main() -> None:
    """Write the table beside this file."""
    import numpy as np  # noqa: PLC0415  of tclf's environment
    from tclf.classical_classifier import (  # type: ignore[import-not-found] # noqa: PLC0415
        ClassicalClassifier,
    )

    rows = np.array(make_rows(), dtype=float)
    names = ["trade_price", "price_all_lag", "bid_ex", "ask_ex"]
    sides = {}
    for method, rule in METHODS.items():
        layer = (rule, "all" if rule == "tick" else "ex")
        if rule in ("lr", "emo", "clnv"):  # they ask the tick rule of the same subset
            names[1] = "price_ex_lag"
        classifier = ClassicalClassifier(layers=[layer], features=names, strategy="const")
        sides[method] = classifier.fit(rows).predict(rows).astype(int)
        names[1] = "price_all_lag"
    with Path(__file__).with_name("tclf_sides.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["price", "bid", "ask", *METHODS])
        for number, (price, _, bid, ask) in enumerate(rows):
            quote = ["" if value != value else int(value) for value in (bid, ask)]
            writer.writerow([int(price), *quote, *(sides[method][number] for method in METHODS)])


if __name__ == "__main__":
    main()
