// Random values of PostgreSQL's types, as texts that the server reads and as what JavaScript passes for them.
import { pick, seededRandom } from '../../hostile/random';

/** Random parts of values. */
export class Generator {
  readonly random: () => number;

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  int(least: number, most: number): number {
    return least + Math.floor(this.random() * (most - least + 1));
  }

  pick<T>(...from: readonly T[]): T {
    return pick(from, this.random);
  }

  /** Once in a while one of these, else what `make` makes. */
  edge<T>(edges: readonly T[], make: () => T): T {
    return this.random() < 0.15 ? pick(edges, this.random) : make();
  }

  many<T>(most: number, make: () => T): T[] {
    return Array.from({ length: this.int(0, most) }, make);
  }

  digits(length: number): string {
    return Array.from({ length }, () => this.int(0, 9)).join('');
  }

  hex(length: number): string {
    return Array.from({ length }, () => this.int(0, 15).toString(16)).join('');
  }

  text(): string {
    const chars = [
      'a',
      'Z',
      '0',
      ' ',
      '"',
      "'",
      '\\',
      '{',
      '}',
      ',',
      '\n',
      '\t',
      'é',
      '漢',
      '😀',
      ';',
      '(',
      '\u2028',
      '\u007f',
    ];
    const word = () => this.many(12, () => pick(chars, this.random)).join('');
    return this.edge(['', 'NULL', 'null', ' ', '\\', '"', '{}', '\\x00', '__proto__'], word);
  }

  float(): string {
    const edges = [
      '0',
      '-0',
      'NaN',
      'Infinity',
      '-Infinity',
      '1e-30',
      '-1.5e30',
      '0.1',
      '123456789012345680',
      '1e15',
      '1e16',
    ];
    return this.edge(
      edges,
      () => `${this.pick('', '-')}${this.int(0, 9999)}.${this.digits(this.int(1, 12))}e${this.int(-12, 12)}`,
    );
  }

  json(depth = 0): unknown {
    const scalar = () =>
      this.pick<() => unknown>(
        () => null,
        () => this.random() < 0.5,
        () => this.int(-1e9, 1e9),
        () => this.random() * 1e10,
        () => this.text(),
      )();
    if (depth > 2 || this.random() < 0.4) return scalar();
    if (this.random() < 0.5) return this.many(3, () => this.json(depth + 1));
    return Object.fromEntries(this.many(3, () => [this.pick('a', 'b', '__proto__', '1', 'é"'), this.json(depth + 1)]));
  }

  /** Hours around which clocks change in one of the zones, and others. */
  hour(): { day: string; hours: number } {
    const gaps = [
      '2024-03-10',
      '2024-11-03',
      '1986-01-01',
      '1985-12-31',
      '1883-11-18',
      '1919-12-31',
      '2007-03-11',
      '1942-02-09',
    ];
    if (this.random() < 0.3) return { day: pick(gaps, this.random), hours: this.int(0, 4) };
    const pad = (number: number, length = 2) => String(number).padStart(length, '0');
    const years = () =>
      this.edge([this.int(1, 99), this.int(100, 999), this.int(10_000, 250_000)], () => this.int(1600, 2100));
    return { day: `${pad(years(), 4)}-${pad(this.int(1, 12))}-${pad(this.int(1, 28))}`, hours: this.int(0, 23) };
  }

  time(hours = this.int(0, 23)): string {
    const pad = (number: number) => String(number).padStart(2, '0');
    const fraction = this.pick('', '', `.${this.digits(3)}`, `.${this.digits(6)}`, '.999999', '.000001', '.5');
    return `${pad(hours)}:${pad(this.int(0, 59))}:${pad(this.int(0, 59))}${fraction}`;
  }

  offset(): string {
    return this.pick('+00', '-05', '+05:45', '-03:30', '+14', '-11:59', '+01:02:03');
  }

  /** The text of a moment: a date, with a time, with an offset. */
  moment(kind: 'date' | 'timestamp' | 'timestamptz'): string {
    return this.edge(['infinity', '-infinity'], () => {
      const { day, hours } = this.hour();
      const era = day.length === 10 && this.random() < 0.1 ? ' BC' : '';
      if (kind === 'date') return `${day}${era}`;
      return `${day} ${this.time(hours)}${kind === 'timestamptz' ? this.offset() : ''}${era}`;
    });
  }

  date(): Date {
    // Of the years before 1 the server has some, JavaScript has more after 9999.
    return this.edge([new Date(0), new Date(-1), new Date(8.6e15 - 4e14), new Date(-62_198_755_200_001)], () => {
      const { day, hours } = this.hour();
      return new Date(
        Number(day.split('-')[0]) > 9999
          ? this.int(2e14, 7e15)
          : Date.parse(`${day}T00:00:00Z`) + hours * 36e5 + this.int(0, 36e5),
      );
    });
  }

  interval(): string {
    const part = (name: string, most: number) => (this.random() < 0.5 ? ` ${this.int(-most, most)} ${name}` : '');
    const time = this.random() < 0.6 ? ` ${this.pick('', '-')}${this.time(this.int(0, 200))}` : '';
    return `0${part('years', 1000)}${part('mons', 11)}${part('days', 4000)}${time}`.replace(/^0 ?(?=.)/, '');
  }

  point(): string {
    return `(${this.coordinate()},${this.coordinate()})`;
  }

  coordinate(): string {
    return this.edge(['0', '-0.5', '1e20', '1e-7'], () => String(this.int(-1e6, 1e6) / this.pick(1, 4, 1000)));
  }

  points(least: number): string {
    return Array.from({ length: this.int(least, 4) }, () => this.point()).join(',');
  }

  /** A range that is not upside down. */
  range(bound: string): string {
    return this.pick('empty', `["${bound}",)`, `(,"${bound}"]`, `["${bound}","${bound}"]`, '(,)');
  }

  bytes(): Buffer {
    return Buffer.from(this.many(20, () => this.int(0, 255)));
  }
}
