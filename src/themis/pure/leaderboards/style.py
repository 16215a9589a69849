"""The style of a leaderboard's page: light and dark, down to 420 pixels."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root {
  --paper: #fcfcfb; --card: #ffffff; --ink: #1c1f23; --soft: #555c66; --line: #dfe2e6; --accent: #1f5fa8;
  --good: #1f7a4d; --sunk: #f4f5f6; --warn: #7a5200;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --card: #1b1f23; --ink: #e8eaed; --soft: #a6adb7; --line: #333940; --accent: #7db4f0;
    --good: #5cc08d; --sunk: #111417; --warn: #e6b455;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
header, main { max-width: 1120px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 32px; }
main { padding-bottom: 60px; }
h1, h2, h3, p, dl, dd, ul { margin: 0; padding: 0; }
h1 { font-size: 28px; font-weight: 650; overflow-wrap: anywhere; }
h2 { font-size: 20px; margin: 40px 0 10px; overflow-wrap: anywhere; }
h3 { font-size: 14px; color: var(--soft); font-weight: 600; margin-bottom: 6px; }
.eyebrow { color: var(--soft); font-size: 13px; }
.facts { display: flex; flex-wrap: wrap; gap: 8px 28px; margin-top: 14px; }
.facts dt { color: var(--soft); font-size: 12px; }
.facts dd { font-weight: 600; overflow-wrap: anywhere; }
.note { color: var(--soft); font-size: 14px; max-width: 80ch; margin-top: 8px; overflow-wrap: anywhere; }
.wide {
  overflow-x: auto; width: fit-content; max-width: 100%; margin-top: 12px; border: 1px solid var(--line);
  border-radius: 10px; background: var(--card);
}
table { border-collapse: collapse; font-size: 14px; min-width: min(560px, 100%); font-variant-numeric: tabular-nums; }
th, td {
  padding: 6px 12px; border-bottom: 1px solid var(--line); text-align: right;
  vertical-align: top; white-space: nowrap;
}
tbody tr:last-child > * { border-bottom: 0; }
thead th {
  color: var(--soft); font-size: 13px; font-weight: 600; white-space: normal;
  min-width: 8ch; vertical-align: bottom;
}
tbody th, thead th:first-child { text-align: left; position: sticky; left: 0; background: var(--card); }
tbody th { font-weight: 600; white-space: normal; overflow-wrap: anywhere; min-width: 14ch; max-width: 34ch; }
td small { display: block; color: var(--soft); font-size: 12px; }
td .best { font-weight: 700; color: var(--good); }
td .like { text-decoration: underline; text-underline-offset: 3px; }
td sup { color: var(--soft); font-size: 11px; line-height: 1; }
td abbr { color: var(--warn); text-decoration: none; cursor: help; }
.missing { color: var(--soft); font-style: italic; }
.parts {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 14px;
  align-items: start; margin-top: 12px;
}
article {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 14px 16px; min-width: 0;
}
svg { display: block; width: 100%; height: auto; max-width: 620px; }
svg text { font: 12px system-ui, sans-serif; fill: var(--soft); }
svg text.name { fill: var(--ink); }
svg text.missing { font-style: italic; }
svg .axis, svg .grid { stroke: var(--line); stroke-width: 1.2; }
svg .bar { stroke: var(--accent); stroke-width: 2; }
svg .mean { fill: var(--card); stroke: var(--accent); stroke-width: 2; }
svg .like { fill: var(--accent); }
svg .best { fill: var(--good); stroke: var(--good); }
svg .bound { stroke-dasharray: 2 2; }
svg .frontier { fill: none; stroke: var(--good); stroke-width: 1.5; stroke-dasharray: 5 4; }
svg .heat { fill: var(--accent); }
.remarks {
  padding: 10px 12px 10px 28px; background: var(--sunk); border-radius: 6px; font-size: 14px;
  color: var(--warn); overflow-wrap: anywhere;
}
details > summary { cursor: pointer; color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
@media (max-width: 700px) {
  header, main { padding: 0 14px; }
  header { padding-top: 20px; }
  th, td { padding: 5px 8px; }
  table { font-size: 13px; }
  tbody th { min-width: 11ch; max-width: 15ch; }
  svg text { font-size: 15px; }
}
@media print { .wide { overflow: visible; } }
"""
