// The demo's two charts of the same series: text for the terminal, and an HTML page for the browser.
import type { NixtlaForecastResponse, Row } from 'moorline';

export interface Chart {
  title: string;
  source: string;
  /** Which model made the forecast. */
  modelName: string;
  /** Mean absolute percentage error. */
  error: number;
  rows: Row[];
  forecast: NixtlaForecastResponse;
}

const MONTHS_SHOWN = 60;
const HEIGHT = 14;

/** The last years as a text chart: `·` measured, `o` forecast, `@` both. */
export function chartText({ rows, forecast }: Chart): string {
  const shown = rows.slice(-MONTHS_SHOWN);
  const offset = shown.length - forecast.predictions.length;
  const values = shown.map((row) => Number(row['value']));
  const most = Math.max(...values, ...forecast.predictions.map(({ value }) => value));
  const least = Math.min(...values);
  const line = (value: number) => Math.round(((value - least) / (most - least)) * (HEIGHT - 1));
  const grid = Array.from({ length: HEIGHT }, () => new Array<string>(shown.length).fill(' '));
  const mark = (column: number, value: number, character: string) => {
    const cells = grid[HEIGHT - 1 - line(value)]!;
    cells[column] = cells[column] === ' ' ? character : '@';
  };
  values.forEach((value, column) => mark(column, value, '·'));
  forecast.predictions.forEach(({ value }, index) => mark(offset + index, value, 'o'));
  const scale = (index: number) => (most - (index / (HEIGHT - 1)) * (most - least)).toFixed(0).padStart(4);
  const body = grid.map((cells, index) => `${index % 4 === 0 ? scale(index) : '    '} │${cells.join('')}`);
  const from = String(shown[0]!['timestamp']).slice(0, 7);
  const to = String(shown.at(-1)!['timestamp']).slice(0, 7);
  const axis = `     └${'─'.repeat(shown.length)}\n      ${from}${to.padStart(shown.length - from.length)}`;
  return `${body.join('\n')}\n${axis}\n      · measured   o forecast   @ both`;
}

const WIDTH = 960;
const PLOT = { left: 50, right: 20, top: 20, bottom: 40, height: 420 };

/** A self-contained HTML page. */
export function chartHtml(chart: Chart): string {
  const { title, source, modelName, error, rows, forecast } = chart;
  const start = rows.length - forecast.predictions.length;
  const bands = forecast.predictions.map(({ value, intervals }) => ({
    value,
    narrow: intervals?.['0.8'] ?? { lower: value, upper: value },
    wide: intervals?.['0.95'] ?? { lower: value, upper: value },
  }));
  const most = Math.max(...rows.map((row) => Number(row['value'])), ...bands.map(({ wide }) => wide.upper)) * 1.05;
  const x = (index: number) => PLOT.left + (index / (rows.length - 1)) * (WIDTH - PLOT.left - PLOT.right);
  const y = (value: number) => PLOT.height - PLOT.bottom - (value / most) * (PLOT.height - PLOT.top - PLOT.bottom);
  const at = (index: number, value: number) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`;
  const line = (values: number[], from: number) => values.map((value, index) => at(from + index, value)).join(' ');
  const band = (key: 'narrow' | 'wide') => {
    const upper = bands.map((each, index) => at(start + index, each[key].upper));
    const lower = bands.map((each, index) => at(start + index, each[key].lower)).reverse();
    return [...upper, ...lower].join(' ');
  };
  const years = rows.flatMap((row, index) => (String(row['timestamp']).slice(5, 7) === '01' ? [index] : []));
  const ticks = years.map((index) => {
    const label = String(rows[index]!['timestamp']).slice(0, 4);
    return `<line class="grid" x1="${x(index)}" x2="${x(index)}" y1="${PLOT.top}" y2="${y(0)}"/>
      <text x="${x(index)}" y="${PLOT.height - 18}">${label}</text>`;
  });
  const levels = [0, 100, 200, 300, 400, 500, 600].filter((level) => level < most);
  const scale = levels.map(
    (level) => `<line class="grid" x1="${PLOT.left}" x2="${WIDTH - PLOT.right}" y1="${y(level)}" y2="${y(level)}"/>
      <text class="level" x="${PLOT.left - 8}" y="${y(level) + 4}">${level}</text>`,
  );
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8" />
<title>${escape(title)}</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: ${WIDTH}px; color: #1d2733; }
  svg { width: 100%; background: #fbfcfd; border: 1px solid #e2e8f0; border-radius: 8px; }
  polyline { fill: none; stroke-width: 2; } text { font-size: 12px; fill: #64748b; text-anchor: middle; }
  .level { text-anchor: end; } .grid { stroke: #eef2f6; } .measured { stroke: #1d4ed8; }
  .forecast { stroke: #ea580c; } .wide { fill: #fed7aa; } .narrow { fill: #fdba74; }
  .key { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin: 0 4px 0 16px; }
</style>
<h1>${escape(title)}</h1>
<p>Forecast of the last ${bands.length} months by ${escape(modelName)}: mean absolute error ${error.toFixed(2)} %.</p>
<svg viewBox="0 0 ${WIDTH} ${PLOT.height}" role="img" aria-label="${escape(title)}">
  ${scale.join('\n  ')}
  ${ticks.join('\n  ')}
  <polygon class="wide" points="${band('wide')}"/>
  <polygon class="narrow" points="${band('narrow')}"/>
  <polyline class="measured" points="${line(
    rows.map((row) => Number(row['value'])),
    0,
  )}"/>
  <polyline class="forecast" points="${line(
    bands.map(({ value }) => value),
    start,
  )}"/>
</svg>
<p><span class="key" style="background: #1d4ed8"></span>measured
  <span class="key" style="background: #ea580c"></span>forecast
  <span class="key" style="background: #fdba74"></span>80 %
  <span class="key" style="background: #fed7aa"></span>95 %</p>
<p><small>${escape(source)}</small></p>
</html>
`;
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
