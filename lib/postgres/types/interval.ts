/** `1 year 2 mons -3 days +04:05:06.789`, as IntervalStyle `postgres` has it. */
const INTERVAL =
  /^(?:([+-]?\d+) years? ?)?(?:([+-]?\d+) mons? ?)?(?:([+-]?\d+) days? ?)?(?:([+-]?)(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?$/;

/**
 * An interval: the parts that are not 0. Those of a time are all negative where it is.
 *
 * @example
 * ```ts
 * import { PostgresInterval } from 'moorline';
 *
 * const interval = new PostgresInterval('1 mon 02:30:00');
 * console.log(interval.toISOString()); // P0Y1M0DT2H30M0S
 * ```
 */
export class PostgresInterval {
  /** Years. */
  declare years?: number;
  /** Months. */
  declare months?: number;
  /** Days. */
  declare days?: number;
  /** Hours. */
  declare hours?: number;
  /** Minutes. */
  declare minutes?: number;
  /** Seconds. */
  declare seconds?: number;
  /** Milliseconds, with microseconds as their fraction. */
  declare milliseconds?: number;

  /** The interval of a text in style `postgres`; of any other an empty one. */
  constructor(text = '') {
    readInterval(text, this);
  }

  /** The text by which PostgreSQL gets it as a parameter. */
  toPostgres(): string {
    const texts = [
      this.seconds && `${this.#fullSeconds()} seconds`,
      this.minutes && `${this.minutes} minutes`,
      this.hours && `${this.hours} hours`,
      this.days && `${this.days} days`,
      this.months && `${this.months} months`,
      this.years && `${this.years} years`,
      !this.seconds && this.milliseconds && `${this.#fullSeconds()} seconds`,
    ];
    return texts.filter(Boolean).join(' ') || '0';
  }

  /** It in the format of ISO 8601. */
  toISO(): string {
    const { years = 0, months = 0, days = 0, hours = 0, minutes = 0 } = this;
    return `P${years}Y${months}M${days}DT${hours}H${minutes}M${this.#fullSeconds()}S`;
  }

  /** The same as {@link toISO}. */
  toISOString(): string {
    return this.toISO();
  }

  #fullSeconds(): string {
    const { seconds = 0, milliseconds = 0 } = this;
    return (Math.round(seconds * 1e6 + milliseconds * 1e3) / 1e6).toFixed(6).replace(/\.?0+$/, '');
  }
}

/** The interval of a text; a text in another style as it is. */
export function parseInterval(text: string): PostgresInterval | string {
  const interval = new PostgresInterval();
  return readInterval(text, interval) ? interval : text;
}

/** Sets the parts that a text has; whether it is in style `postgres`. */
function readInterval(text: string, interval: PostgresInterval): boolean {
  const found = INTERVAL.exec(text);
  if (!found) return false;
  const [, years = 0, months = 0, days = 0, sign, hours = 0, minutes = 0, seconds = 0, fraction = ''] = found;
  const factor = sign === '-' ? -1 : 1;
  if (Number(years)) interval.years = Number(years);
  if (Number(months)) interval.months = Number(months);
  if (Number(days)) interval.days = Number(days);
  if (Number(hours)) interval.hours = factor * Number(hours);
  if (Number(minutes)) interval.minutes = factor * Number(minutes);
  if (Number(seconds)) interval.seconds = factor * Number(seconds);
  if (Number(fraction)) interval.milliseconds = (factor * Number(fraction.padEnd(6, '0'))) / 1000;
  return true;
}
