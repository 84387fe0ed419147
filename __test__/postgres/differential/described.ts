// Values as texts that are equal only where the values are, with class and prototype, of whatever package.

/** The text of a value. */
export function describeValue(value: unknown): string {
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? String(value);
  if (Array.isArray(value)) return `[${value.map(describeValue).join(',')}]`;
  if (Buffer.isBuffer(value)) return `Buffer ${value.toString('hex')}`;
  if (value instanceof Date) return `Date ${value.getTime()}`;
  const { name } = (Object.getPrototypeOf(value) as { constructor: { name: string } }).constructor;
  const members = Object.keys(value).map((key) => `${JSON.stringify(key)}:${describeValue((value as any)[key])}`);
  return `${name}{${members.join(',')}}${name === 'PostgresInterval' ? describeMethods(value as Interval) : ''}`;
}

interface Interval {
  toPostgres(): string;
  toISO(): string;
  toISOString(): string;
}

function describeMethods(interval: Interval): string {
  return `(${interval.toPostgres()}|${interval.toISO()}|${interval.toISOString()})`;
}
