// What an example shows while it runs: in a terminal a picture that is drawn again and again, elsewhere the events as lines.

const FRAME_MS = 50;
const MOST_EVENTS = 9;
const COLOURS = { red: 31, green: 32, yellow: 33, blue: 34, grey: 90, bold: 1 };
const hasColours = process.stdout.isTTY && !process.env['NO_COLOR'];

export function paint(colour: keyof typeof COLOURS, text: string): string {
  return hasColours ? `\x1b[${COLOURS[colour]}m${text}\x1b[0m` : text;
}

/** Draws a picture, and lists events below it. */
export class Screen {
  readonly isLive = process.stdout.isTTY === true;
  readonly #picture: () => string[];
  readonly #started = performance.now();
  #events: string[] = [];
  #drawnLines = 0;
  #timer: NodeJS.Timeout | undefined;

  /** `picture` gives its lines. */
  constructor(picture: () => string[]) {
    this.#picture = picture;
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
    const drawn = this.#picture();
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
