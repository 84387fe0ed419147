import { invalidType } from './argument-error';
import { messageOf } from './error-message';
import { onRejection } from './shape';

/** The levels of a {@link Logger}, the least severe first. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** One structured log record. `data` never contains a secret. */
export interface LogRecord {
  /** The time, as ISO 8601. */
  timestamp: string;
  /** An id that all records of one call or one object share. */
  correlationId: string;
  /** The level. */
  level: LogLevel;
  /** The name of the event, in the form `service.event`. */
  event: string;
  /** The facts of the event. */
  data: Record<string, unknown>;
}

/** A receiver of moorline's log records: a function for each level. A level without a function is not logged. */
export type Logger = { [level in LogLevel]?: ((record: LogRecord) => void) | undefined };

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** The level of `LOG_LEVEL` (default `warn`), as an index; beyond the last it is off. */
function environmentLevel(): number {
  const wanted = (process.env['LOG_LEVEL'] ?? 'warn').toLowerCase();
  if (wanted === 'off' || wanted === 'silent') return LEVELS.length;
  const level = LEVELS.indexOf(wanted as LogLevel);
  return level < 0 ? LEVELS.indexOf('warn') : level;
}

/** One JSON line on stderr. Where nobody reads it any more, the line is lost, which must not end the process. */
function writeLine(record: LogRecord): void {
  process.stderr.write(`${lineOf(record)}\n`, (error) => {
    // The event follows, and one that nobody hears would be thrown.
    if (error && process.stderr.listenerCount('error') === 0) process.stderr.once('error', () => undefined);
  });
}

/** What JSON has no words for is said in others: a `BigInt` in digits, a member that resists (a cycle) not at all. */
function lineOf({ data, ...record }: LogRecord): string {
  try {
    return JSON.stringify({ ...record, data }, inDigits);
  } catch {
    const members = Object.keys(data).map((name) => [
      name,
      isWritable(data, name) ? data[name] : '[not shown: no JSON]',
    ]);
    return JSON.stringify({ ...record, data: Object.fromEntries(members) }, inDigits);
  }
}

function isWritable(data: Record<string, unknown>, name: string): boolean {
  try {
    JSON.stringify(data[name], inDigits);
    return true;
  } catch {
    return false;
  }
}

function inDigits(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}

let logger: Logger | undefined;
let threshold: number | undefined;
let hasFailed = false;

/**
 * Sends moorline's log records to a logger; `{}` discards them. `undefined` restores the default: JSON lines on stderr, from
 * the level of the environment variable `LOG_LEVEL` up, else from `warn`. An error that the logger throws or rejects with
 * does not affect the logged operation; the first one is reported on stderr.
 *
 * @example
 * ```ts
 * import { setLogger, TursoPool } from 'moorline';
 *
 * setLogger({ warn: ({ event }) => console.log(event) }); // libsql.release-refused
 * const pool = new TursoPool({ url: ':memory:' });
 * const client = await pool.getConnection();
 * client.close();
 * client.close();
 * await pool.drain();
 * ```
 *
 * @throws TypeError if the logger is not an object.
 */
export function setLogger(next: Logger | undefined): void {
  if (next !== undefined && (typeof next !== 'object' || next === null)) throw invalidType('logger', 'an object', next);
  logger = next;
  threshold = undefined;
  hasFailed = false;
}

/**
 * Logs one record; costs nothing when nobody listens to the level, and never throws. What was asked for by itself is written from the
 * level `from` up, whatever `LOG_LEVEL` says short of `off`.
 */
export function log(
  level: LogLevel,
  event: string,
  correlationId: string,
  data: () => Record<string, unknown>,
  from?: LogLevel,
): void {
  try {
    if (!logger) {
      if (isWritten(level, from)) writeLine(recordOf(level, event, correlationId, data()));
    } else if (logger[level]) {
      onRejection(logger[level](recordOf(level, event, correlationId, data())), complain);
    }
  } catch (error) {
    complain(error);
  }
}

function recordOf(level: LogLevel, event: string, correlationId: string, data: Record<string, unknown>): LogRecord {
  return { timestamp: new Date().toISOString(), correlationId, level, event, data };
}

/** The logger itself has failed: told once, or a busy service would tell of nothing else. */
function complain(error: unknown): void {
  if (hasFailed || !isWritten('warn', undefined)) return;
  hasFailed = true;
  try {
    writeLine(recordOf('warn', 'logger.failed', 'logger', { error: messageOf(error) }));
  } catch {
    // There is nowhere left to tell it.
  }
}

function isWritten(level: LogLevel, from: LogLevel | undefined): boolean {
  threshold ??= environmentLevel();
  const least = from !== undefined && threshold < LEVELS.length ? LEVELS.indexOf(from) : threshold;
  return LEVELS.indexOf(level) >= least;
}
