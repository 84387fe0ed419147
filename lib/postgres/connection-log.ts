import { messageOf } from '../runtime/error-message';
import { log } from '../runtime/logger';
import { clearTimeout, performance } from '../runtime/node';
import { startTimer, withTimeout } from '../runtime/timers';
import type { PostgresLogEvent, PostgresLogData, RecordSink } from './connection-record';
import { PostgresError } from './error';
import type { CounterSeries } from '../metrics/metric';
import type { PostgresConnectionPool } from './pool';
import type { QueryConfig } from './query';
import type { QueryResult } from './result';

/** What runs statements. */
export interface StatementRunner {
  query(query: string | QueryConfig, values?: readonly unknown[]): Promise<QueryResult>;
}

/** Options of the pool of a {@link ConnectionLog}, in place of those of the pool that is logged. */
export const LOG_POOL = {
  applicationName: 'moorline connection log',
  max: 1,
  min: 0,
  maxIdle: 1,
  maxConnecting: 1,
  leakAfterMs: Infinity,
  queryTimeoutMs: 10_000,
  pooling: true,
  monitoring: false,
  connectionLog: false,
} as const;

/** Options of a {@link ConnectionLog}. */
export interface ConnectionLogOptions {
  /** The name of the pool that is logged. It stands for a connection where an event is of none. */
  name: string;
  /** The time for which rows are kept, in milliseconds; `Infinity`: for ever. */
  retentionMs: number;
  /** Counts the events that are missing in it. */
  dropped: CounterSeries;
}

/** An event that is not written yet. */
interface Row {
  /** By the clock of `performance.now`. */
  readonly at: number;
  readonly connectionId: string;
  readonly event: PostgresLogEvent;
  readonly error: string | null;
  readonly metadata: string;
}

/** The rows that may wait; further ones are dropped. */
const MAX_ROWS = 10_000;
/** The maximum number of rows of a statement. */
const BATCH_ROWS = 1000;
/** The time in which rows are collected. */
const INTERVAL_MS = 1000;
/** The longest time until the next attempt after failures. */
const MAX_INTERVAL_MS = 60_000;
/** The time between two removals of old rows. */
const REMOVAL_INTERVAL_MS = 3_600_000;
/** The maximum number of old rows that a statement removes. */
const REMOVED_ROWS = 10_000;

// Two sessions that create the same at the same time would fail, in spite of `IF NOT EXISTS`.
const INSTALL = `
SELECT pg_advisory_xact_lock(7883676215);
CREATE TABLE IF NOT EXISTS connection_logs (
    id SERIAL PRIMARY KEY,
    connection_id TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP,
    error_message TEXT,
    metadata JSONB
);
CREATE OR REPLACE FUNCTION log_connection_event(
    p_connection_id TEXT,
    p_status TEXT,
    p_error_message TEXT DEFAULT NULL,
    p_metadata JSONB DEFAULT '{}'::JSONB
) RETURNS VOID AS $$
BEGIN
    INSERT INTO connection_logs (connection_id, status, error_message, metadata)
    VALUES (p_connection_id, p_status, p_error_message, p_metadata);
END;
$$ LANGUAGE plpgsql;`;

const IS_INSTALLED = `
SELECT to_regclass('connection_logs') IS NOT NULL
   AND to_regprocedure('log_connection_event(text, text, text, jsonb)') IS NOT NULL AS installed`;

// By ages: all times in the table are of one clock, the server's.
const INSERT = `
INSERT INTO connection_logs (connection_id, status, created_at, error_message, metadata)
SELECT connection_id, status, CURRENT_TIMESTAMP - age * interval '1 millisecond', error_message, metadata
  FROM unnest($1::text[], $2::text[], $3::float8[], $4::text[], $5::jsonb[])
       AS event (connection_id, status, age, error_message, metadata)`;

const REMOVE = `
DELETE FROM connection_logs
 WHERE id IN (SELECT id FROM connection_logs
               WHERE created_at < CURRENT_TIMESTAMP - $1::float8 * interval '1 millisecond'
               LIMIT ${REMOVED_ROWS})`;

/** Creates the table and the function of the connection log, where they are not there. */
export async function installConnectionLog(runner: StatementRunner): Promise<void> {
  // A role that may not create them may use them.
  const { rows } = await runner.query(IS_INSTALLED);
  if (rows[0].installed !== true) await runner.query(INSTALL);
}

/**
 * Writes what happens to the connections of a pool to the table `connection_logs`: in batches, by another pool, and dropped rather than
 * waited for.
 */
export class ConnectionLog implements RecordSink {
  readonly #pool: PostgresConnectionPool;
  readonly #options: ConnectionLogOptions;
  readonly #rows: Row[] = [];
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<boolean> | undefined;
  #intervalMs = INTERVAL_MS;
  #removesAt = 0;
  #dropped = 0;
  #toldDropped = 0;
  #toldFailure: string | undefined;
  #isClosed = false;

  /** @param pool What it writes by, and ends: with {@link LOG_POOL}. */
  constructor(pool: PostgresConnectionPool, options: ConnectionLogOptions) {
    this.#pool = pool;
    this.#options = options;
  }

  /** The events that were not written, or of which that is not known. */
  get dropped(): number {
    return this.#dropped;
  }

  add(event: PostgresLogEvent, correlationId: string, { connectionId, poolSize, error }: PostgresLogData): void {
    if (this.#isClosed || this.#rows.length >= MAX_ROWS) {
      this.#drop(1);
      return;
    }
    this.#rows.push({
      at: performance.now(),
      connectionId: connectionId ?? this.#options.name,
      event,
      // A text of PostgreSQL's cannot have it.
      error: error?.replaceAll('\0', '') ?? null,
      metadata: JSON.stringify({ correlationId, poolSize }),
    });
    this.#schedule();
  }

  /** Writes what waits now, for `timeoutMs` at most. */
  async flush(timeoutMs: number): Promise<void> {
    const writeAll = async (signal: AbortSignal): Promise<void> => {
      while (this.#rows.length > 0 && !signal.aborted) {
        if (this.#writing) await this.#writing;
        else if (!(await this.#write(signal))) return;
      }
    };
    const timeout = new Error('The connection log could not be written in time');
    await withTimeout(timeoutMs, [], writeAll, () => timeout).catch((error: unknown) => this.#tell(error));
    if (this.#rows.length > 0) this.#schedule();
  }

  /** Writes what waits, for `timeoutMs` at most, and ends. */
  async close(timeoutMs: number): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.flush(timeoutMs);
    this.#drop(this.#rows.splice(0).length);
    this.#tellDropped();
    await this.#pool.end(0);
  }

  #schedule(): void {
    if (this.#isClosed || this.#writing) return;
    const isFull = this.#rows.length === BATCH_ROWS && this.#intervalMs === INTERVAL_MS;
    if (this.#timer && !isFull) return;
    clearTimeout(this.#timer);
    const onTimer = () => void this.#onTimer().catch((error: unknown) => this.#tell(error));
    this.#timer = startTimer(onTimer, isFull ? 0 : this.#intervalMs).unref();
  }

  async #onTimer(): Promise<void> {
    this.#timer = undefined;
    if (this.#writing) return;
    if (this.#rows.length > 0 && (await this.#write())) await this.#removeOld();
    if (this.#rows.length > 0) this.#schedule();
  }

  /** Writes a batch. Never rejects; false where nothing was written. */
  #write(signal?: AbortSignal): Promise<boolean> {
    this.#writing = this.#writeBatch(signal).finally(() => (this.#writing = undefined));
    return this.#writing;
  }

  async #writeBatch(signal: AbortSignal | undefined): Promise<boolean> {
    const batch = this.#rows.slice(0, BATCH_ROWS);
    const now = performance.now();
    const values = [
      batch.map(({ connectionId }) => connectionId),
      batch.map(({ event }) => event),
      batch.map(({ at }) => now - at),
      batch.map(({ error }) => error),
      batch.map(({ metadata }) => metadata),
    ];
    try {
      await this.#pool.query({ text: INSERT, values, signal });
    } catch (error) {
      if (!mayRepeat(error)) this.#drop(this.#rows.splice(0, batch.length).length);
      this.#intervalMs = Math.min(this.#intervalMs * 2, MAX_INTERVAL_MS);
      this.#tell(error);
      return false;
    }
    this.#rows.splice(0, batch.length);
    this.#intervalMs = INTERVAL_MS;
    this.#toldFailure = undefined;
    this.#tellDropped();
    return true;
  }

  async #removeOld(): Promise<void> {
    const { retentionMs } = this.#options;
    if (retentionMs === Infinity || performance.now() < this.#removesAt) return;
    try {
      const { rowCount } = await this.#pool.query(REMOVE, [retentionMs]);
      // What is left over is removed beside the next rows.
      if (rowCount !== REMOVED_ROWS) this.#removesAt = performance.now() + REMOVAL_INTERVAL_MS;
    } catch (error) {
      this.#removesAt = performance.now() + REMOVAL_INTERVAL_MS;
      this.#tell(error);
    }
  }

  /** Logs a failure, once until something was written. */
  #tell(error: unknown): void {
    const failure = error instanceof PostgresError ? error.code : messageOf(error);
    if (failure === this.#toldFailure) return;
    this.#toldFailure = failure;
    log('warn', 'postgres.connection-log-failed', this.#options.name, () => ({ error: messageOf(error) }));
  }

  #drop(count: number): void {
    this.#dropped += count;
    this.#options.dropped.inc(count);
  }

  #tellDropped(): void {
    const dropped = this.#dropped - this.#toldDropped;
    if (dropped === 0) return;
    this.#toldDropped = this.#dropped;
    log('warn', 'postgres.connection-log-dropped', this.#options.name, () => ({ dropped }));
  }
}

/** Whether rows that were not written are written by another attempt: they are not there already, and the server may take them. */
function mayRepeat(error: unknown): boolean {
  if (!(error instanceof PostgresError)) return false;
  if (error.delivery === 'none') return true;
  // Classes 22 and 23: what is wrong with a value remains wrong.
  return error.delivery === 'answered' && !/^2[23]/.test(error.code);
}
