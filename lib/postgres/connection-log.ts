import { messageOf } from '../runtime/error-message';
import { log } from '../runtime/logger';
import { clearTimeout, performance } from '../runtime/node';
import { startTimer } from '../runtime/timers';
import type { ConnectionEventName, ConnectionLogRecord, RecordSink } from './connection-record';
import { PostgresError } from './error';
import type { PostgresPoolConfig } from './options';
import { ConnectionPool } from './pool';
import type { QueryResult } from './result';

/** What runs statements. */
export interface StatementRunner {
  query(text: string, values?: readonly unknown[]): Promise<QueryResult>;
}

/** Options of a {@link ConnectionLog}. */
export interface ConnectionLogOptions {
  /** How long rows are kept, in milliseconds. `Infinity`: for ever. */
  retentionMs: number;
  /** The name of the pool, which stands for a connection where an event is of none. */
  name: string;
}

/** A row that is not written yet. */
interface Row {
  /** By {@link performance.now}. */
  readonly at: number;
  readonly connectionId: string;
  readonly event: ConnectionEventName;
  readonly error: string | null;
  readonly metadata: string;
}

/** Rows that wait at most; further ones are dropped. */
const MAX_ROWS = 10_000;
/** Rows of one statement at most. */
const BATCH_ROWS = 1000;
/** The time in which rows are collected. */
const INTERVAL_MS = 1000;
/** The longest time until another attempt after one that failed. */
const MAX_INTERVAL_MS = 60_000;
/** The time between two removals of old rows. */
const RETENTION_INTERVAL_MS = 3_600_000;
/** Old rows that one statement removes at most. */
const REMOVED_ROWS = 10_000;
/** The time limit of a statement. */
const WRITE_TIMEOUT_MS = 10_000;

/** The lock of {@link installConnectionLog}: two sessions that create the same at the same time fail. */
const INSTALL_LOCK = 0x6d6f_6f72;

const IS_INSTALLED = `
SELECT to_regclass('connection_logs') IS NOT NULL
   AND to_regprocedure('log_connection_event(text, text, text, jsonb)') IS NOT NULL AS installed`;

const INSTALL = `
SELECT pg_advisory_xact_lock(${INSTALL_LOCK});
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

// By ages, so that the server's clock alone counts: by that rows are removed, and others written.
const INSERT = `
INSERT INTO connection_logs (connection_id, status, created_at, error_message, metadata)
SELECT connection_id, status, CURRENT_TIMESTAMP - age * interval '1 millisecond', error_message, metadata
  FROM unnest($1::text[], $2::text[], $3::float8[], $4::text[], $5::jsonb[])
       AS event (connection_id, status, age, error_message, metadata)`;

const REMOVE = `
DELETE FROM connection_logs
 WHERE id IN (SELECT id FROM connection_logs
               WHERE created_at < CURRENT_TIMESTAMP - $1::float8 * interval '1 millisecond'
               ORDER BY id LIMIT ${REMOVED_ROWS})`;

/** Creates the table and the function of the connection log, where they are not there. */
export async function installConnectionLog(runner: StatementRunner): Promise<void> {
  // A role that may not create them may use them.
  const { rows } = await runner.query(IS_INSTALLED);
  if (rows[0].installed !== true) await runner.query(INSTALL);
}

/**
 * Writes events of connections to the table `connection_logs`: in batches, on a connection of its own, and dropped rather than waited
 * for.
 */
export class ConnectionLog implements RecordSink {
  /** Events that were not written: too many were waiting, or it is not known whether they were. */
  dropped = 0;
  readonly #pool: ConnectionPool;
  readonly #options: ConnectionLogOptions;
  #rows: Row[] = [];
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #intervalMs = INTERVAL_MS;
  #failure: string | undefined;
  #removesAt = 0;
  #closed = false;

  /** @param config How the database is reached. */
  constructor(config: Omit<PostgresPoolConfig, 'healthCheckIntervalMs'>, options: ConnectionLogOptions) {
    this.#pool = new ConnectionPool({ ...config, ...LOG_POOL });
    this.#options = options;
  }

  add(
    event: ConnectionEventName,
    correlationId: string,
    { connectionId, poolSize, error }: ConnectionLogRecord['data'],
  ): void {
    if (this.#closed || this.#rows.length >= MAX_ROWS) {
      this.dropped += 1;
      return;
    }
    this.#rows.push({
      at: performance.now(),
      connectionId: connectionId ?? this.#options.name,
      event,
      // No text of PostgreSQL's has it.
      error: error?.replaceAll('\0', '') ?? null,
      metadata: JSON.stringify({ correlationId, poolSize }),
    });
    this.#schedule();
  }

  /** Writes what waits, for `timeoutMs` at most, and ends. */
  async close(timeoutMs: number): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    const written = this.#writing ?? Promise.resolve();
    const done = written.then(() => this.#write());
    await Promise.race([done, new Promise<void>((resolve) => startTimer(resolve, timeoutMs))]);
    await this.#pool.end(0);
    this.dropped += this.#rows.splice(0).length;
  }
}
