// What tunnel.ts shows: in a terminal a picture that is drawn again and again, elsewhere the events as lines.
import type { TunnelState, TunnelStats } from 'moorline';

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

const FRAME_MS = 50;
const MOST_EVENTS = 9;
const LEVELS = '▁▂▃▄▅▆▇█';
const COLOURS = { red: 31, green: 32, yellow: 33, blue: 34, grey: 90, bold: 1 };
const hasColours = process.stdout.isTTY && !process.env['NO_COLOR'];

function paint(colour: keyof typeof COLOURS, text: string): string {
  return hasColours ? `\x1b[${COLOURS[colour]}m${text}\x1b[0m` : text;
}

/** Draws a view, and lists events below it. */
export class Screen {
  readonly isLive = process.stdout.isTTY === true;
  readonly #view: () => View;
  readonly #started = performance.now();
  #events: string[] = [];
  #drawnLines = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(view: () => View) {
    this.#view = view;
    if (!this.isLive) return;
    process.stdout.write('\x1b[?25l'); // no cursor
    this.#timer = setInterval(() => this.#draw(), FRAME_MS);
  }

  /** Tells of an event. */
  log(name: string, text = ''): void {
    const seconds = ((performance.now() - this.#started) / 1000).toFixed(2).padStart(6);
    const colour = name === 'error' || name === 'kill' ? 'red' : name === 'open' ? 'green' : 'yellow';
    const line = `${paint('grey', `${seconds} s`)}  ${paint(colour, name.padEnd(7))} ${text}`;
    this.#events.push(line);
    if (!this.isLive) console.log(line);
  }

  /** Draws for the last time; the picture stays. */
  close(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#draw();
    process.stdout.write('\x1b[?25h');
  }

  #draw(): void {
    // What is wider or higher would make the terminal scroll, and the next picture begin too low.
    const [width, height] = [(process.stdout.columns || 80) - 1, (process.stdout.rows || 24) - 1];
    const drawn = picture(this.#view());
    const events = this.#events.slice(-Math.min(MOST_EVENTS, Math.max(1, height - drawn.length)));
    const lines = [...drawn, ...events].slice(0, height).map((line) => `\x1b[2K${cutTo(width, line)}\n`);
    process.stdout.write((this.#drawnLines > 0 ? `\x1b[${this.#drawnLines}A` : '') + lines.join(''));
    this.#drawnLines = lines.length;
  }
}

/** The text up to a width, with the colours that it has. */
function cutTo(width: number, text: string): string {
  let left = width;
  const cut = text.replace(/(\x1b\[\d+m)|[^]/gu, (character, colour) => (colour || left-- > 0 ? character : ''));
  return hasColours ? `${cut}\x1b[0m` : cut;
}

function picture({ sshPort, databasePort, state, stats, maxChannels, months }: View): string[] {
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
