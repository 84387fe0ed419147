// Dates and times in PostgreSQL's style ISO: `2024-02-03`, `2024-02-03 04:05:06.789`, with `+05:45` for a timestamptz, and
// ` BC` at the end for years before 1.

const ZERO = 48;
const COLON = 58;
const DAY_MS = 86_400_000;

/** The two digits at `at`; not a number where the text has ended. */
function twoDigits(text: string, at: number): number {
  return (text.charCodeAt(at) - ZERO) * 10 + text.charCodeAt(at + 1) - ZERO;
}

const isDigit = (code: number): boolean => code >= ZERO && code < ZERO + 10;

/** What a text says, digit by digit; one reader serves all texts, so that reading makes no object. */
const parts = { year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0, ms: 0, offsetMs: 0, hasOffset: false };

/** The moment of a timestamptz, or in local time of a timestamp or date: infinity as a number, and a text that is none as it is. */
export function parseDate(text: string): Date | number | string {
  if (!readParts(text)) return infinityOf(text);
  const { year, month, day, hour, minute, second, ms, offsetMs } = parts;
  if (parts.hasOffset) {
    const time = ((hour * 60 + minute) * 60 + second) * 1000 + ms;
    return new Date(daysSinceEpoch(year, month, day) * DAY_MS + time - offsetMs);
  }
  // The constructor takes these years for those of the last century.
  if (year < 0 || year > 99) return new Date(year, month - 1, day, hour, minute, second, ms);
  const date = new Date(2000, 0, 1, hour, minute, second, ms);
  date.setFullYear(year, month - 1, day);
  date.setHours(hour, minute, second, ms);
  return date;
}

function infinityOf(text: string): number | string {
  if (text === 'infinity') return Infinity;
  return text === '-infinity' ? -Infinity : text;
}

/** Days from 1970-01-01 to a day of the Gregorian calendar. */
function daysSinceEpoch(year: number, month: number, day: number): number {
  // In years that begin with March the leap day is the last one, and months have a regular pattern of lengths.
  const shifted = month > 2 ? year : year - 1;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const leapDays = Math.floor(shifted / 4) - Math.floor(shifted / 100) + Math.floor(shifted / 400);
  return shifted * 365 + leapDays + dayOfYear - 719_468;
}

/** Reads a text into `parts`; whether it is in style ISO. */
function readParts(text: string): boolean {
  const dash = text.indexOf('-');
  if (dash < 4 || text[dash + 3] !== '-') return false;
  parts.year = Number(text.slice(0, dash));
  parts.month = twoDigits(text, dash + 1);
  parts.day = twoDigits(text, dash + 4);
  parts.hour = parts.minute = parts.second = parts.ms = parts.offsetMs = 0;
  parts.hasOffset = false;
  let end = dash + 6;
  if (text.charCodeAt(end + 3) === COLON) end = readTime(text, end + 1);
  if (text.endsWith(' BC')) {
    // There is no year 0.
    parts.year = 1 - parts.year;
    end += 3;
  }
  return end === text.length;
}

/** Reads the time at `at`, and the offset behind it; where they end. */
function readTime(text: string, at: number): number {
  parts.hour = twoDigits(text, at);
  parts.minute = twoDigits(text, at + 3);
  parts.second = twoDigits(text, at + 6);
  let end = at + 8;
  if (text[end] === '.') {
    const start = ++end;
    while (isDigit(text.charCodeAt(end))) end++;
    // What is below a millisecond has no place in a Date.
    parts.ms = Number(text.slice(start, Math.min(end, start + 3)).padEnd(3, '0'));
  }
  const sign = text[end];
  if (sign === '+' || sign === '-') {
    let seconds = twoDigits(text, end + 1) * 3600;
    end += 3;
    for (let unit = 60; unit > 0 && text.charCodeAt(end) === COLON; unit = unit === 60 ? 1 : 0, end += 3) {
      seconds += twoDigits(text, end + 1) * unit;
    }
    parts.offsetMs = (sign === '+' ? seconds : -seconds) * 1000;
    parts.hasOffset = true;
  }
  return end;
}
