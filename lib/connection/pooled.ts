import { ConnectionState } from './state';

/** What a pool may find in something that it lends; all of it is optional. */
interface Pooled {
  connect?: () => unknown;
  disconnect?: () => unknown;
  isConnected?: () => unknown;
  healthCheck?: () => unknown;
  state?: unknown;
}

/** States of a connection in which it cannot be lent. */
const UNUSABLE: readonly unknown[] = [
  ConnectionState.DISCONNECTED,
  ConnectionState.CONNECTING,
  ConnectionState.DISCONNECTING,
  ConnectionState.ERROR,
];

/** Connects what can be connected; throws when that fails. */
export async function open(pooled: unknown): Promise<void> {
  const connect = method(pooled, 'connect');
  if (connect && (await connect()) === false) throw new Error('The connection could not be opened');
}

/** Disconnects what can be disconnected. */
export async function close(pooled: unknown): Promise<void> {
  await method(pooled, 'disconnect')?.();
}

/** Whether it may be lent again, as far as can be told without asking it. */
export function looksUsable(pooled: unknown): boolean {
  return !UNUSABLE.includes((pooled as Pooled | undefined)?.state);
}

/** Whether it says that it is open. */
export async function isOpen(pooled: unknown, timeoutMs: number): Promise<boolean> {
  if (!looksUsable(pooled)) return false;
  const isConnected = method(pooled, 'isConnected');
  return !isConnected || Boolean(await answer(isConnected, timeoutMs));
}

/** Whether it says that it is well. */
export async function isAlive(pooled: unknown, timeoutMs: number): Promise<boolean> {
  const healthCheck = method(pooled, 'healthCheck');
  if (!looksUsable(pooled) || !healthCheck) return isOpen(pooled, timeoutMs);
  const said = await answer(healthCheck, timeoutMs);
  return typeof said === 'object' && said !== null && 'isHealthy' in said ? Boolean(said.isHealthy) : Boolean(said);
}

function method(pooled: unknown, name: Exclude<keyof Pooled, 'state'>): (() => unknown) | undefined {
  const found = (pooled as Pooled | undefined)?.[name];
  return typeof found === 'function' ? () => found.call(pooled) : undefined;
}

/** What it answers; false when it throws or takes too long. */
async function answer(ask: () => unknown, timeoutMs: number): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => (timer = setTimeout(resolve, timeoutMs, false).unref()));
  try {
    return await Promise.race([ask(), late]);
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}
