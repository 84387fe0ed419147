/** The levels of {@link Logger}, least severe first. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** One structured record. `data` never contains a secret. */
export interface LogRecord {
  /** ISO 8601. */
  timestamp: string;
  /** The same for all records of one call or one object. */
  correlationId: string;
  level: LogLevel;
  /** What happened, as `service.event`. */
  event: string;
  data: Record<string, unknown>;
}

/** Where moorline's log records go. A missing level is not logged. */
export type Logger = { [level in LogLevel]?: ((record: LogRecord) => void) | undefined };

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** The level of `LOG_LEVEL` (default `warn`), as an index; beyond the last it is off. */
function environmentLevel(): number {
  const wanted = (process.env['LOG_LEVEL'] ?? 'warn').toLowerCase();
  if (wanted === 'off' || wanted === 'silent') return LEVELS.length;
  const level = LEVELS.indexOf(wanted as LogLevel);
  return level < 0 ? LEVELS.indexOf('warn') : level;
}

/** JSON lines on stderr. */
function standardError(record: LogRecord): void {
  process.stderr.write(`${JSON.stringify(record)}\n`);
}

let logger: Logger | undefined;
let threshold: number | undefined;

/**
 * Sends moorline's log records elsewhere: to your own logger, or nowhere with `{}`. `undefined` restores the
 * default: JSON lines on stderr from `warn` up, or from `LOG_LEVEL`.
 */
export function setLogger(next: Logger | undefined): void {
  logger = next;
  threshold = undefined;
}

/**
 * Logs one record; costs nothing when nobody listens to the level. What was asked for by itself is written from the
 * level `from` up, whatever `LOG_LEVEL` says short of `off`.
 */
export function log(
  level: LogLevel,
  event: string,
  correlationId: string,
  data: () => Record<string, unknown>,
  from?: LogLevel,
): void {
  const write = logger ? logger[level] : isWritten(level, from) ? standardError : undefined;
  if (write) write({ timestamp: new Date().toISOString(), correlationId, level, event, data: data() });
}

function isWritten(level: LogLevel, from: LogLevel | undefined): boolean {
  threshold ??= environmentLevel();
  const least = from !== undefined && threshold < LEVELS.length ? LEVELS.indexOf(from) : threshold;
  return LEVELS.indexOf(level) >= least;
}
