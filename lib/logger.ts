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

/** JSON lines on stderr, from the level of `LOG_LEVEL` (default `warn`) up. */
function standardError(): Logger {
  const wanted = (process.env['LOG_LEVEL'] ?? 'warn').toLowerCase();
  if (wanted === 'off' || wanted === 'silent') return {};
  const from = LEVELS.indexOf(wanted as LogLevel);
  const write = (record: LogRecord) => void process.stderr.write(`${JSON.stringify(record)}\n`);
  return Object.fromEntries(LEVELS.slice(from < 0 ? LEVELS.indexOf('warn') : from).map((level) => [level, write]));
}

let logger: Logger | undefined;

/**
 * Sends moorline's log records elsewhere: to your own logger, or nowhere with `{}`. `undefined` restores the
 * default: JSON lines on stderr from `warn` up, or from `LOG_LEVEL`.
 */
export function setLogger(next: Logger | undefined): void {
  logger = next;
}

/** Logs one record; costs nothing when nobody listens to the level. */
export function log(level: LogLevel, event: string, correlationId: string, data: () => Record<string, unknown>): void {
  logger ??= standardError();
  const write = logger[level];
  if (write) write({ timestamp: new Date().toISOString(), correlationId, level, event, data: data() });
}
