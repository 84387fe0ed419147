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
  const name = (process.env['LOG_LEVEL'] ?? 'warn').toLowerCase();
  if (name === 'off' || name === 'silent') return LEVELS.length;
  const level = LEVELS.indexOf(name as LogLevel);
  return level < 0 ? LEVELS.indexOf('warn') : level;
}

/** Writes one JSON line to stderr. If its pipe is closed, the line is lost, which must not end the process. */
function writeLine(record: LogRecord): void {
  process.stderr.write(`${toLine(record)}\n`, (error) => {
    // The `error` event follows, and would be thrown if it had no listener.
    if (error && process.stderr.listenerCount('error') === 0) process.stderr.once('error', () => undefined);
  });
}

/** Serializes a record. A `BigInt` becomes its digits; a member that is no JSON, such as a cycle, is replaced by a note. */
function toLine({ data, ...record }: LogRecord): string {
  try {
    return JSON.stringify({ ...record, data }, bigintToString);
  } catch {
    const members = Object.keys(data).map((name) => [
      name,
      isWritable(data, name) ? data[name] : '[not serializable as JSON]',
    ]);
    return JSON.stringify({ ...record, data: Object.fromEntries(members) }, bigintToString);
  }
}

function isWritable(data: Record<string, unknown>, name: string): boolean {
  try {
    JSON.stringify(data[name], bigintToString);
    return true;
  } catch {
    return false;
  }
}

function bigintToString(_key: string, value: unknown): unknown {
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
 * Logs one record; costs nothing when its level is off, and never throws. What was asked for by itself is written from the level
 * `from` up, whatever `LOG_LEVEL` says short of `off`.
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
      if (isEnabled(level, from)) writeLine(recordOf(level, event, correlationId, data()));
    } else if (logger[level]) {
      onRejection(logger[level](recordOf(level, event, correlationId, data())), reportLoggerFailure);
    }
  } catch (error) {
    reportLoggerFailure(error);
  }
}

function recordOf(level: LogLevel, event: string, correlationId: string, data: Record<string, unknown>): LogRecord {
  return { timestamp: new Date().toISOString(), correlationId, level, event, data };
}

/** Reports on stderr that the logger itself failed; once, so that a busy service does not flood stderr. */
function reportLoggerFailure(error: unknown): void {
  if (hasFailed || !isEnabled('warn', undefined)) return;
  hasFailed = true;
  try {
    writeLine(recordOf('warn', 'logger.failed', 'logger', { error: messageOf(error) }));
  } catch {
    // There is nowhere left to report it.
  }
}

function isEnabled(level: LogLevel, from: LogLevel | undefined): boolean {
  threshold ??= environmentLevel();
  const minimum = from !== undefined && threshold < LEVELS.length ? LEVELS.indexOf(from) : threshold;
  return LEVELS.indexOf(level) >= minimum;
}
