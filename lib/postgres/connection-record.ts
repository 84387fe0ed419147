import type { EventEmitter } from 'node:events';

import { messageOf } from '../runtime/error-message';
import { log, type LogLevel } from '../runtime/logger';
import { crypto } from '../runtime/node';

/** What the log says of connections. */
export type ConnectionEventName = 'connection_acquired' | 'connection_released' | 'health_check' | 'connection_error';

/** A log record of a {@link PostgresConnectionManager}, as {@link setLogger}'s logger receives it. */
export interface ConnectionLogRecord {
  /** The time, as ISO 8601. */
  timestamp: string;
  /** An id that the records of one borrower share. */
  correlationId: string;
  /** The level. */
  level: LogLevel;
  /** The name of the event. */
  event: ConnectionEventName;
  /** The facts of the event. */
  data: {
    /** The number of the server process. */
    connectionId?: string;
    /** The number of connections. */
    poolSize?: number;
    /** The message of the error. */
    error?: string;
  };
}

/** @internal The pool that is recorded. */
export interface RecordedPool extends EventEmitter {
  readonly name: string;
  readonly totalCount: number;
}

/** @internal A connection of it. */
interface RecordedClient {
  readonly processID: number | null;
}

/** @internal What keeps records beside the logger. */
export interface RecordSink {
  add(event: ConnectionEventName, correlationId: string, data: ConnectionLogRecord['data']): void;
}

/** @internal Records what happens to the connections of a pool: for the logger, and for the table of the connection log. */
export class ConnectionRecorder {
  readonly #pool: RecordedPool;
  readonly #sink: RecordSink | undefined;
  readonly #prefix = crypto().randomUUID().slice(0, 8);
  /** The numbers of those who have a connection. */
  readonly #borrowers = new WeakMap<RecordedClient, number>();
  #count = 0;

  constructor(pool: RecordedPool, sink: RecordSink | undefined) {
    this.#pool = pool;
    this.#sink = sink;
    pool.on('acquire', (client: RecordedClient) => {
      this.#borrowers.set(client, (this.#count += 1));
      this.#record('debug', 'connection_acquired', client);
    });
    pool.on('release', (error: unknown, client: RecordedClient) => {
      this.#record('debug', 'connection_released', client, error instanceof Error ? error : undefined);
    });
    pool.on('error', (error: unknown, client?: RecordedClient) =>
      this.#record('warn', 'connection_error', client, error),
    );
  }

  /** A connection could not be had, which the caller is told as well. */
  onConnectionError(error: unknown): void {
    this.#record('debug', 'connection_error', undefined, error);
  }

  /** A health check has ended. */
  onHealthCheck({ healthy, error }: { healthy: boolean; error?: unknown }): void {
    this.#record(healthy ? 'debug' : 'warn', 'health_check', undefined, error);
  }

  #record(level: LogLevel, event: ConnectionEventName, client: RecordedClient | undefined, error?: unknown): void {
    const number = (client && this.#borrowers.get(client)) ?? (this.#count += 1);
    const correlationId = `${this.#prefix}-${number}`;
    const data = (): ConnectionLogRecord['data'] => ({
      ...(client?.processID != null && { connectionId: String(client.processID) }),
      poolSize: this.#pool.totalCount,
      ...(error !== undefined && { error: messageOf(error) }),
    });
    log(level, event, correlationId, data);
    this.#sink?.add(event, correlationId, data());
  }
}
