import { EventEmitter } from 'node:events';
import { inspect } from 'node:util';

import { invalidType } from '../runtime/argument-error';
import { emitGuarded } from '../runtime/emitter';
import { messageOf } from '../runtime/error-message';
import { log } from '../runtime/logger';
import type { CallOptions } from '../runtime/native-call';
import { repeat } from '../runtime/timers';
import { SingleFlight } from '../runtime/single-flight';
import { SSHTunnel } from '../ssh';
import type { PostgresClient } from './client';
import { connectionMetrics, type ConnectionMetrics } from './metrics';
import type { PostgresPoolConfig } from './options';
import { ConnectionPool } from './pool';
import type { QueryConfig } from './query';
import type { QueryResult } from './result';
import { runTransaction, type TransactionOptions } from './transaction';

/** The argument of a `healthCheck` event. */
export interface HealthCheckStatus {
  healthy: boolean;
  /** Why it is not. */
  error?: Error;
}
