// The picture that tunnel.ts shows.
import type { TunnelState, TunnelStats } from 'moorline';

import { paint } from './screen.js';

/** A month of the series: how far it has come. */
export interface Month {
  timestamp: string;
  value: number;
  /** Whether it is stored, and then read back. */
  state: 'waiting' | 'stored' | 'read';
}

/** What is shown. */
export interface View {
  sshPort: number;
  databasePort: number;
  state: TunnelState;
  stats: TunnelStats;
  maxChannels: number;
  months: Month[];
}

const LEVELS = '▁▂▃▄▅▆▇█';

/** The lines of the picture. */
export function picture({ sshPort, databasePort, state, stats, maxChannels, months }: View): string[] {
  const isUp = state === 'connected';
  const link = isUp ? paint('green', '══ SSH ══') : paint('red', '══ ╳╳╳ ══');
  const channels = paint('green', '■'.repeat(stats.channels)) + '·'.repeat(Math.max(0, maxChannels - stats.channels));
  const trip = stats.roundTripMs === undefined ? '–' : `${stats.roundTripMs.toFixed(1)} ms`;
  const bytes = (count: number) => `${(count / 1024).toFixed(0)} KB`;
  const read = months.filter((month) => month.state === 'read').length;
  const stored = months.filter((month) => month.state !== 'waiting').length;
  return [
    `  this program ${link} sshd :${sshPort} ${isUp ? '─────' : '     '} sqld :${databasePort}`,
    `  tunnel    ${paint(isUp ? 'green' : 'red', `● ${state}`)}, sessions ${stats.sessions}, round trip ${trip}, reconnects ${stats.reconnects}`,
    `  channels  ${channels} ${stats.channels} open, ${stats.waiting} waiting; ${bytes(stats.sentBytes)} out, ${bytes(stats.receivedBytes)} in`,
    `  months    ${stored} stored, ${paint('green', `${read} read back`)} of ${months.length}`,
    ...calendar(months),
  ];
}

/** A line for each year, and a column for each month, as high as its value. */
function calendar(months: Month[]): string[] {
  const most = Math.max(...months.map(({ value }) => value));
  const cell = ({ value, state }: Month) => {
    if (state === 'waiting') return paint('grey', '·· ');
    const level = LEVELS[Math.min(LEVELS.length - 1, Math.floor((value / most) * LEVELS.length))]!;
    return paint(state === 'read' ? 'green' : 'blue', `${level}${level} `);
  };
  const years = Array.from({ length: Math.ceil(months.length / 12) }, (_, year) =>
    months.slice(year * 12, year * 12 + 12),
  );
  const rows = years.map((year) => `  ${year[0]!.timestamp.slice(0, 4)}      ${year.map(cell).join('')}`);
  const legend = `${paint('grey', '··')} not yet  ${paint('blue', '▅▅')} stored  ${paint('green', '▅▅')} read back`;
  return [...rows, `            ${legend}`];
}
