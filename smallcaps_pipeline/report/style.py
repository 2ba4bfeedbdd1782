"""The look of the report: one style sheet, and colours that colour-blind eyes tell apart.

Colours are of Okabe and Ito (2008), "Color Universal Design": up and down are blue and orange, not
green and red.
"""

from __future__ import annotations

from typing import Final

UP: Final = "#0072B2"  # blue
DOWN: Final = "#D55E00"  # vermilion
NEUTRAL: Final = "#5b6470"
ACCENT: Final = "#009E73"  # bluish green
WINDOW: Final = "rgba(230, 159, 0, 0.13)"  # orange, faint
VWAP: Final = "#CC79A7"  # reddish purple
INK: Final = "#1d2430"
GRID: Final = "#e6e8ec"
FONT: Final = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'

STYLE_SHEET: Final = f"""
:root {{ color-scheme: light; }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; background: #f6f7f9; color: {INK}; font: 15px/1.5 {FONT};
  font-variant-numeric: tabular-nums; }}
main {{ max-width: 1120px; margin: 0 auto; padding: 24px 20px 64px; }}
h1 {{ font-size: 26px; margin: 0 0 2px; letter-spacing: -0.01em; }}
h2 {{ font-size: 18px; margin: 0 0 10px; }}
h3 {{ font-size: 15px; margin: 24px 0 4px; }}
p {{ margin: 0 0 10px; }}
.sub, .lead, .note {{ color: {NEUTRAL}; }}
.lead {{ max-width: 72ch; }}
.note {{ font-size: 13px; }}
section {{ background: #fff; border: 1px solid {GRID}; border-radius: 10px; padding: 20px 22px;
  margin-top: 18px; }}
.simulated {{ background: #fff4d6; border: 2px solid #E69F00; border-radius: 10px;
  padding: 10px 16px; margin-bottom: 18px; font-weight: 600; }}
.decision {{ display: flex; gap: 22px; align-items: center; flex-wrap: wrap; margin-top: 16px;
  background: #fff; border: 1px solid {GRID}; border-left: 8px solid {NEUTRAL};
  border-radius: 10px; padding: 16px 22px; }}
.decision b {{ font-size: 30px; letter-spacing: 0.01em; white-space: nowrap; }}
.decision p {{ margin: 0; max-width: 70ch; flex: 1 1 300px; }}
.decision.go {{ border-left-color: {ACCENT}; }} .decision.go b {{ color: #00714f; }}
.decision.no-go {{ border-left-color: {DOWN}; }} .decision.no-go b {{ color: #a84800; }}
.tiles {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px;
  margin-top: 18px; }}
.tile {{ background: #fff; border: 1px solid {GRID}; border-radius: 10px; padding: 12px 16px; }}
.tile b {{ display: block; font-size: 22px; }}
.tile span {{ color: {NEUTRAL}; font-size: 13px; }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; width: 100%; margin: 6px 0 10px; }}
th, td {{ padding: 6px 12px 6px 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid {GRID}; }}
th {{ color: {NEUTRAL}; font-size: 13px; font-weight: 600; white-space: nowrap; }}
td.num, th.num {{ text-align: right; white-space: nowrap; }}
th:last-child, td:last-child {{ padding-right: 0; }}
.badge {{ display: inline-block; padding: 1px 9px; border-radius: 9px; font-size: 13px;
  font-weight: 600; white-space: nowrap; }}
.badge.pass {{ background: #d9f1e8; color: #005c40; }}
.badge.fail {{ background: #fde3d3; color: #8f3d00; }}
.badge.not-yet {{ background: #eceef1; color: #464e59; }}
.two {{ display: grid; gap: 8px 28px;
  grid-template-columns: repeat(2, minmax(0, 1fr)); }}
.two > div {{ min-width: 0; }}
.figure {{ width: 100%; }}
ul {{ margin: 0; padding-left: 20px; }}
a {{ color: {UP}; }}
@media (max-width: 640px) {{
  main {{ padding: 14px 10px 40px; }} section {{ padding: 14px 12px; }}
  .decision {{ padding: 12px 14px; }} .two {{ grid-template-columns: 1fr; }}
}}
@media print {{
  body {{ background: #fff; }} main {{ max-width: none; padding: 0; }}
  section, .tile, .decision {{ border-color: #bbb; }}
  .figure, tr, .tile, .decision {{ break-inside: avoid; }}
}}
"""
