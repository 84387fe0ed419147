import type { EventEmitter } from 'node:events';

import { emitGuarded, type EventSource, type MoorlineEvent, publishEvent } from '../runtime/emitter';
import type { MoorlineError } from '../runtime/error';
import type { PostgresClient } from './client';
import type { PostgresHealthCheck } from './health';
import type { PostgresConnectionPool } from './pool';

/** The arguments of the events of a {@link PostgresConnectionManager}: its own, and any that its users emit on it. */
export interface PostgresEvents {
  healthCheck: [health: PostgresHealthCheck];
  healthCheckFailed: [error: Error];
  fallback_activated: [event: MoorlineEvent & { error: Error }];
  fallback_restored: [event: MoorlineEvent & { downMs: number }];
  create: [event: MoorlineEvent & { connectionId: number; durationMs: number }];
  destroy: [event: MoorlineEvent & { connectionId: number }];
  acquire: [event: MoorlineEvent & { connectionId: number; processID: number }];
  release: [event: MoorlineEvent & { connectionId: number; processID: number }];
  timeout: [event: MoorlineEvent & { afterMs: number }];
  leak: [event: MoorlineEvent & { connectionId: number; heldMs: number; stack: string }];
  health: [event: MoorlineEvent & PostgresHealthCheck];
  drain: [event: MoorlineEvent];
  close: [event: MoorlineEvent];
  error: [error: MoorlineError];
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  [name: string | symbol]: any[];
}

/** The events of a pool that are those of its manager, too. */
const FORWARDED = ['create', 'destroy', 'timeout', 'leak', 'drain', 'error'] as const;

/** @internal Emits what happens in a pool as events of its manager. */
export function publishPoolEvents(manager: object, pool: PostgresConnectionPool, source: EventSource): void {
  const emitter = manager as EventEmitter;
  for (const name of FORWARDED) pool.on(name, (payload: unknown) => emitForListeners(emitter, name, payload));
  const facts = ({ connectionId, processID }: PostgresClient) => ({ connectionId, processID });
  pool.on('acquire', (client: PostgresClient) => publishEvent(emitter, source, 'acquire', () => facts(client)));
  pool.on('release', (_: unknown, client: PostgresClient) =>
    publishEvent(emitter, source, 'release', () => facts(client)),
  );
}

/** The channel has had it from the pool. An `error` that nobody listens to is not thrown. */
function emitForListeners(emitter: EventEmitter, name: string, payload: unknown): void {
  if (emitter.listenerCount(name) > 0) emitGuarded(emitter, name, payload);
}
