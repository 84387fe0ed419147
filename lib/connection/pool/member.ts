import type { MoorlineError } from '../../runtime/error';
import { isUp } from '../../health/check-reply';
import type { ConnectionConfig } from '../config/config';
import { ConnectionState } from '../model';
import { setLongTimeout } from '../../runtime/timers';

/** The members of a pooled object that a pool uses; all of them are optional. */
interface PooledObject {
  connect?: () => unknown;
  disconnect?: () => unknown;
  isConnected?: () => unknown;
  healthCheck?: () => unknown;
  state?: unknown;
}

/** The data of the events of a pool of `T`. */
export type PoolFacts<T> = {
  acquire: { connection: T };
  release: { connection: T };
  create: { connection: T };
  destroy: { connection: T };
  timeout: { error: MoorlineError };
  leak: { connection: T; heldMs: number; stack: string };
  error: { error: unknown };
};

/** States of a connection in which it cannot be lent. */
const UNUSABLE: readonly unknown[] = [
  ConnectionState.DISCONNECTED,
  ConnectionState.CONNECTING,
  ConnectionState.DISCONNECTING,
  ConnectionState.ERROR,
];

/** The name that a pool is shown under in the metrics; nothing where its connections are not to be monitored. */
export function metricsName({ name, monitoring }: ConnectionConfig): string | undefined {
  return monitoring === false ? undefined : (name ?? 'default');
}

/** Connects what can be connected; throws when that fails. */
export async function open(pooled: unknown): Promise<void> {
  const connect = method(pooled, 'connect');
  if (connect && (await connect()) === false) throw new Error('The connection could not be opened');
}

/** Disconnects what can be disconnected. */
export async function close(pooled: unknown): Promise<void> {
  await method(pooled, 'disconnect')?.();
}

/** Whether it may be lent again, judged by its `state` alone. One that cannot be read is broken. */
export function looksUsable(pooled: unknown): boolean {
  try {
    return !UNUSABLE.includes((pooled as PooledObject | undefined)?.state);
  } catch {
    return false;
  }
}

/** Whether it says that it is open. Never rejects. */
export async function isOpen(pooled: unknown, timeoutMs: number): Promise<boolean> {
  if (!looksUsable(pooled)) return false;
  return checkWithTimeout(timeoutMs, () => reportsOpen(pooled));
}

/** Whether it says that it is healthy. Never rejects. */
export async function isHealthy(pooled: unknown, timeoutMs: number): Promise<boolean> {
  if (!looksUsable(pooled)) return false;
  return checkWithTimeout(timeoutMs, async () => {
    const healthCheck = method(pooled, 'healthCheck');
    if (!healthCheck) return reportsOpen(pooled);
    return isUp(await healthCheck());
  });
}

async function reportsOpen(pooled: unknown): Promise<boolean> {
  const isConnected = method(pooled, 'isConnected');
  return !isConnected || Boolean(await isConnected());
}

function method(pooled: unknown, name: Exclude<keyof PooledObject, 'state'>): (() => unknown) | undefined {
  const found = (pooled as PooledObject | undefined)?.[name];
  return typeof found === 'function' ? () => found.call(pooled) : undefined;
}

/** Returns the answer of `check`; false when it throws or takes too long. */
function checkWithTimeout(timeoutMs: number, check: () => Promise<boolean>): Promise<boolean> {
  return new Promise((resolve) => {
    const stop = setLongTimeout(timeoutMs, () => resolve(false), { keepsAlive: false });
    check()
      .then(resolve, () => resolve(false))
      .finally(stop);
  });
}
