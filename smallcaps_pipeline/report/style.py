"""The look of report and review: one style sheet, light and dark, colours that all eyes tell apart.

Colours are of Okabe and Ito (2008), "Color Universal Design": up and down are blue and orange, not
green and red. Drawings carry classes, so they follow the reader's light or dark.
"""

from __future__ import annotations

from typing import Final

UP: Final = "#0072B2"  # blue; the few constants are for pictures that stand alone (Dagster's UI)
INK: Final = "#1d2430"
FONT: Final = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'

_LIGHT: Final = """
  --page: #f4f5f7; --card: #ffffff; --ink: #1d2430; --soft: #5b6470; --grid: #e6e8ec;
  --axis: #aab1bb; --up: #0072b2; --down: #c85400; --unknown: #8a929c; --vwap: #a64d86;
  --range: #6a7480; --window: #d08700; --event: rgba(230, 159, 0, .22);
  --ext: rgba(29, 36, 48, .035);
  --pass: #00714f; --pass-soft: #d9f1e8; --fail: #a84800; --fail-soft: #fde3d3;
  --wait: #464e59; --wait-soft: #eceef1; --note: #fff4d6; --note-edge: #e69f00;
  --track: #eef0f3; --pm: #d08700; --rth: #0072b2; --ah: #a64d86;"""
_DARK: Final = """
  --page: #12161c; --card: #1a2029; --ink: #e6e9ee; --soft: #9aa4b1; --grid: #2a323d;
  --axis: #4a5462; --up: #56b4e9; --down: #f28e4b; --unknown: #8a929c; --vwap: #e09fc6;
  --range: #9aa4b1; --window: #e6a93a; --event: rgba(240, 190, 60, .20);
  --ext: rgba(255, 255, 255, .04);
  --pass: #5fd0a8; --pass-soft: #143a2e; --fail: #f7a36c; --fail-soft: #45260f;
  --wait: #b5bdc8; --wait-soft: #2b333e; --note: #3a2f12; --note-edge: #e6a93a;
  --track: #252d38; --pm: #e6a93a; --rth: #56b4e9; --ah: #e09fc6;"""

BASE_STYLE: Final = f"""
:root {{ color-scheme: light dark; {_LIGHT} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_DARK} }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 {FONT};
  font-variant-numeric: tabular-nums; }}
svg.chart {{ display: block; width: 100%; height: auto; font: 11.5px {FONT}; overflow: visible; }}
svg.chart path {{ fill: none; }}
svg.chart .t {{ fill: var(--ink); }} svg.chart .faint {{ fill: var(--soft); }}
svg.chart .windowname {{ fill: var(--window); }}
svg.chart .grid {{ stroke: var(--grid); stroke-width: 1; }}
svg.chart .axis {{ stroke: var(--axis); stroke-width: 1; }}
svg.chart .ext {{ fill: var(--ext); }} svg.chart .eventband {{ fill: var(--event); }}
svg.chart .window {{ fill: var(--window); }} svg.chart path.arrow {{ fill: var(--ink); }}
svg.chart .other {{ stroke: var(--window); stroke-width: 6; stroke-linecap: round; }}
svg.chart .wick {{ stroke-width: 1; }}
svg.chart .wick.up {{ stroke: var(--up); }} svg.chart .wick.down {{ stroke: var(--down); }}
svg.chart path.body.up, svg.chart path.bar.buy {{ fill: var(--up); }}
svg.chart path.body.down, svg.chart path.bar.sell {{ fill: var(--down); }}
svg.chart path.bar.unknown {{ fill: var(--unknown); }}
svg.chart path.vol {{ opacity: .55; }}
svg.chart path.vol.up {{ fill: var(--up); }} svg.chart path.vol.down {{ fill: var(--down); }}
svg.chart .vwap {{ stroke: var(--vwap); stroke-width: 2; stroke-linejoin: round; }}
svg.chart .range {{ stroke: var(--range); stroke-width: 1.4; stroke-dasharray: 5 4; }}
svg.chart .quote {{ stroke-width: 1.1; opacity: .75; }}
svg.chart .quote.bid {{ stroke: var(--up); }} svg.chart .quote.ask {{ stroke: var(--down); }}
svg.chart .spread {{ stroke: var(--ink); stroke-width: 1.2; }}
svg.chart .dot {{ stroke-linecap: round; stroke-opacity: .7; }}
svg.chart .dot.odd {{ stroke-width: 2; }} svg.chart .dot.round {{ stroke-width: 3.4; }}
svg.chart .dot.block {{ stroke-width: 6.5; }}
svg.chart .dot.buy {{ stroke: var(--up); }} svg.chart .dot.sell {{ stroke: var(--down); }}
svg.chart .dot.unknown {{ stroke: var(--unknown); }}
.badge {{ display: inline-block; padding: 1px 9px; border-radius: 9px; font-size: 13px;
  font-weight: 600; white-space: nowrap; }}
.badge.pass, .badge.good {{ background: var(--pass-soft); color: var(--pass); }}
.badge.fail, .badge.bad {{ background: var(--fail-soft); color: var(--fail); }}
.badge.not-yet, .badge.unsure {{ background: var(--wait-soft); color: var(--wait); }}
.simulated {{ background: var(--note); border: 1px solid var(--note-edge); border-radius: 8px;
  padding: 8px 14px; font-weight: 600; }}
"""

STYLE_SHEET: Final = f"""{BASE_STYLE}
main {{ overflow-wrap: anywhere; max-width: 1180px; margin: 0 auto; padding: 24px 20px 64px; }}
h1 {{ font-size: 26px; margin: 0 0 2px; letter-spacing: -0.01em; }}
h2 {{ font-size: 18px; margin: 0 0 10px; }}
h3 {{ font-size: 15px; margin: 22px 0 6px; }}
p {{ margin: 0 0 10px; }}
.sub, .lead, .note {{ color: var(--soft); }}
.lead {{ max-width: 80ch; }}
.note {{ font-size: 13px; }}
section {{ background: var(--card); border: 1px solid var(--grid); border-radius: 10px;
  padding: 20px 22px; margin-top: 18px; }}
.simulated {{ margin-bottom: 18px; }}
.decision {{ display: flex; gap: 22px; align-items: center; flex-wrap: wrap; margin-top: 16px;
  background: var(--card); border: 1px solid var(--grid); border-left: 8px solid var(--soft);
  border-radius: 10px; padding: 16px 22px; }}
.decision b.word {{ font-size: 32px; letter-spacing: 0.01em; white-space: nowrap; }}
.decision div {{ max-width: 82ch; flex: 1 1 300px; }} .decision p {{ margin: 0 0 2px; }}
.decision.go {{ border-left-color: var(--pass); }} .decision.go b.word {{ color: var(--pass); }}
.decision.no-go {{ border-left-color: var(--fail); }}
.decision.no-go b.word {{ color: var(--fail); }}
.override {{ background: var(--note); border: 1px solid var(--note-edge); border-radius: 10px;
  padding: 10px 16px; margin-top: 12px; }}
.override p {{ margin: 0; }}
.after {{ margin: 8px 0 0; }}
.facts {{ color: var(--soft); font-size: 13px; margin: 0 0 6px; }}
.facts b {{ color: var(--ink); font-weight: 600; }}
table.spread td:nth-child(1) {{ width: 150px; }} table.spread td:nth-child(2) {{ width: 45%; }}
table.spread td {{ vertical-align: middle; }}
.track {{ display: flex; height: 14px; gap: 1px; min-width: 60px; }}
.track i {{ display: block; height: 100%; background: var(--rth); min-width: 1px; }}
.track i.pm {{ background: var(--pm); }} .track i.ah {{ background: var(--ah); }}
.track i.quiet {{ background: var(--axis); }} .track i.pass {{ background: var(--pass); }}
.tiles {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px;
  margin-top: 18px; }}
.tile {{ background: var(--card); border: 1px solid var(--grid); border-radius: 10px;
  padding: 12px 16px; }}
.tile b {{ display: block; font-size: 22px; }}
.tile span {{ color: var(--soft); font-size: 13px; }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; width: 100%; margin: 6px 0 10px; }}
th, td {{ padding: 6px 14px 6px 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--grid); }}
th {{ color: var(--soft); font-size: 13px; font-weight: 600; white-space: nowrap; }}
td.num, th.num {{ text-align: right; white-space: nowrap; }}
th:last-child, td:last-child {{ padding-right: 0; }}
td .note {{ display: block; max-width: 62ch; }}
.range {{ position: relative; width: 150px; height: 18px; margin-top: 3px; display: block; }}
.range i {{ position: absolute; top: 6px; height: 6px; border-radius: 3px; background: var(--track);
  left: 0; right: 0; }}
.range i.span {{ background: var(--soft); opacity: .6; }}
.range i.at {{ top: 3px; width: 12px; height: 12px; margin-left: -6px; right: auto;
  border-radius: 6px; background: var(--ink); }}
.range i.limit {{ top: 0; width: 2px; height: 18px; margin-left: -1px; right: auto;
  border-radius: 0; background: var(--fail); }}
.bars {{ display: grid; gap: 5px 10px; align-items: center; margin: 8px 0 12px;
  grid-template-columns: minmax(90px, max-content) minmax(0, 1fr) max-content; }}
.bars .n {{ text-align: right; white-space: pre; }}
.keys {{ font-size: 13px; color: var(--soft); display: flex; gap: 14px; flex-wrap: wrap; }}
.keys i {{ display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 5px;
  background: var(--rth); }}
.keys i.pm {{ background: var(--pm); }} .keys i.ah {{ background: var(--ah); }}
.keys i.down {{ background: var(--down); }}
.hist {{ margin: 8px 0 12px; }}
.hist .columns {{ display: flex; align-items: flex-end; height: 130px; gap: 1px;
  border-bottom: 1px solid var(--axis); }}
.hist .columns i {{ flex: 1; background: var(--rth); min-height: 0; }}
.hist .ticks {{ position: relative; height: 20px; font-size: 12px; color: var(--soft); }}
.hist .ticks span {{ position: absolute; transform: translateX(-50%); white-space: nowrap; }}
.hist .ticks span.first {{ transform: none; }}
.hist .ticks span.last {{ transform: translateX(-100%); }}
.two {{ display: grid; gap: 8px 32px; grid-template-columns: repeat(2, minmax(0, 1fr)); }}
.two > div {{ min-width: 0; }}
.event {{ border-top: 1px solid var(--grid); padding-top: 14px; margin-top: 14px; }}
.event h3 {{ margin: 0 0 2px; }}
.charts {{ display: grid; gap: 10px 22px; grid-template-columns: 3fr 2fr; align-items: start; }}
.charts > div {{ min-width: 0; overflow-x: auto; padding: 4px 0; }}
ul {{ margin: 0; padding-left: 20px; }}
a {{ color: var(--up); }}
@media (max-width: 760px) {{
  main {{ padding: 14px 10px 40px; }} section {{ padding: 14px 12px; }}
  .decision {{ padding: 12px 14px; gap: 8px 22px; }}
  .two, .charts {{ grid-template-columns: minmax(0, 1fr); }}
  .charts svg.chart {{ min-width: 460px; }} .charts > div + div svg.chart {{ min-width: 330px; }}
  table {{ overflow-wrap: normal; }} table.spread td:nth-child(2) {{ min-width: 90px; }}
  .range {{ width: 90px; }}
}}
@media print {{
  :root {{ {_LIGHT} }}
  body {{ background: #fff; }} main {{ max-width: none; padding: 0; }}
  section, .tile, .decision {{ border-color: #bbb; }}
  .event, .charts, tr, .tile, .decision {{ break-inside: avoid; }}
}}
"""
