import type { EventEmitter } from 'node:events';

import { messageOf } from '../runtime/error-message';
import { log, type LogLevel } from '../runtime/logger';
import { crypto } from '../runtime/node';

/** The names of the events in the log records of a {@link PostgresConnectionManager}. */
export type PostgresLogEvent = 'connection_acquired' | 'connection_released' | 'health_check' | 'connection_error';

/** The facts of a {@link PostgresLogRecord}. */
export interface PostgresLogData {
  /** The number of the server process. */
  connectionId?: string;
  /** The number of connections of the pool. */
  poolSize?: number;
  /** The message of the error. */
  error?: string;
}

/** A log record of a {@link PostgresConnectionManager}, as the logger of {@link setLogger} receives it. */
export interface PostgresLogRecord {
  /** The time, as ISO 8601. */
  timestamp: string;
  /** An id that the records of one borrower share. */
  correlationId: string;
  /** The level. */
  level: LogLevel;
  /** The name of the event. */
  event: PostgresLogEvent;
  /** The facts of the event. */
  data: PostgresLogData;
}

/** A pool whose connections are recorded. */
export interface RecordedPool extends EventEmitter {
  readonly totalCount: number;
}

/** A connection of it. */
interface RecordedClient {
  readonly processID: number | null;
}

/** What gets the records beside the logger. */
export interface RecordSink {
  add(event: PostgresLogEvent, correlationId: string, facts: PostgresLogData): void;
}

/** Makes log records of what happens to the connections of a pool. */
export class ConnectionRecorder {
  readonly #pool: RecordedPool;
  readonly #sink: RecordSink | undefined;
  readonly #prefix = crypto().randomUUID().slice(0, 8);
  /** The numbers of the borrowers. */
  readonly #borrowers = new WeakMap<RecordedClient, number>();
  #count = 0;

  constructor(pool: RecordedPool, sink?: RecordSink) {
    this.#pool = pool;
    this.#sink = sink;
    pool.on('acquire', (client: RecordedClient) => {
      this.#borrowers.set(client, (this.#count += 1));
      this.#record('debug', 'connection_acquired', undefined, client);
    });
    // The first argument is an error, true or nothing.
    pool.on('release', (error: unknown, client: RecordedClient) => {
      this.#record('debug', 'connection_released', error instanceof Error ? error : undefined, client);
    });
    pool.on('error', (error: unknown) => this.#record('warn', 'connection_error', error));
    pool.on('lost', (client: RecordedClient | undefined, error: unknown) => {
      this.#record('warn', 'connection_error', error, client);
    });
  }

  /** A connection could not be had. The borrower is told as well. */
  onConnectionError(error: unknown): void {
    this.#record('warn', 'connection_error', error);
  }

  /** A health check has ended. */
  onHealthCheck({ healthy, error }: { healthy: boolean; error?: unknown }): void {
    this.#record(healthy ? 'debug' : 'warn', 'health_check', error);
  }

  #record(level: LogLevel, event: PostgresLogEvent, error: unknown, client?: RecordedClient): void {
    const number = (client && this.#borrowers.get(client)) ?? (this.#count += 1);
    const correlationId = `${this.#prefix}-${number}`;
    const facts = (): PostgresLogData => ({
      ...(typeof client?.processID === 'number' && { connectionId: String(client.processID) }),
      poolSize: this.#pool.totalCount,
      ...(error !== undefined && { error: messageOf(error) }),
    });
    log(level, event, correlationId, facts as () => Record<string, unknown>);
    this.#sink?.add(event, correlationId, facts());
  }
}
