import type { SSHTunnel } from '../ssh/tunnel';
import { isError, messageOf } from '../runtime/error-message';
import type { PostgresConnectionPool } from './pool';

/** The time that a server has to answer a health check. */
const PROBE_TIMEOUT_MS = 5000;

/** The outcome of a health check. */
export interface PostgresHealthCheck {
  /** Whether the database answers. */
  healthy: boolean;
  /** Whether the tunnel is connected; absent without one. */
  tunnel?: boolean;
  /** Whether the database answers; false where the tunnel is not connected. */
  database: boolean;
  /** Why it is not healthy. */
  error?: Error;
}

/** @internal What is checked: the tunnel, and the database behind it. */
export interface HealthTarget {
  readonly tunnel: SSHTunnel | undefined;
  readonly pool: PostgresConnectionPool;
}

/** @internal Connects the tunnel if it is not connected, and asks the database. Never rejects. */
export async function checkHealth({ tunnel, pool }: HealthTarget): Promise<PostgresHealthCheck> {
  const facts = { ...(tunnel && { tunnel: true }), database: false };
  try {
    if (tunnel && !tunnel.isConnectedToTunnel()) await tunnel.connect();
  } catch (error) {
    return { ...facts, healthy: false, tunnel: false, error: toError(error) };
  }
  try {
    await pool.query({ text: 'SELECT 1', timeoutMs: PROBE_TIMEOUT_MS });
    return { ...facts, healthy: true, database: true };
  } catch (error) {
    const connected = tunnel && { tunnel: tunnel.isConnectedToTunnel() };
    return { ...facts, ...connected, healthy: false, error: toError(error) };
  }
}

const toError = (given: unknown): Error => (isError(given) ? given : new Error(messageOf(given)));
