import { invalidType, invalidValue } from '../runtime/argument-error';
import type { KnownOptions } from '../runtime/known-options';
import { Client } from './client';
import { defaults } from './defaults';
import type { ClientConfig } from './options';
import type { PoolClient } from './pool-client';
import { CLIENT, type PoolSettings, readSettings, type Refused, type Target } from './settings';

/** Options of a `Pool`, with the names and units of `pg`. */
export interface PoolConfig extends ClientConfig {
  /** The maximum number of connections. Default: 10. */
  max?: number | undefined;
  /** The same as `max`. */
  poolSize?: number | undefined;
  /** The minimum number of connections that are kept open. Default: 0. */
  min?: number | undefined;
  /** The time that a free connection is kept. Default: 10 000. */
  idleTimeoutMillis?: number | undefined;
  /** How often a connection is borrowed before it is closed. Default: without a limit. */
  maxUses?: number | undefined;
  /** The maximum age of a connection in seconds, ±25 %. Default: without a limit. */
  maxLifetimeSeconds?: number | undefined;
  /** Whether free connections let the process exit; they always do. */
  allowExitOnIdle?: boolean | undefined;
  /** Is called with each new connection, and awaited before anybody gets it. */
  onConnect?: ((client: PoolClient) => unknown) | undefined;
  /** The class of clients, which is that of this module. */
  Client?: typeof Client | undefined;
  /** Refused: `setLogger` of moorline receives records. */
  log?: never;
  /** Refused: `onConnect` can reject a connection. */
  verify?: never;
}

const POOL: KnownOptions<Omit<PoolConfig, Refused>> = {
  ...CLIENT,
  max: true,
  poolSize: true,
  min: true,
  idleTimeoutMillis: true,
  maxUses: true,
  maxLifetimeSeconds: true,
  allowExitOnIdle: true,
  onConnect: true,
  Client: true,
};

/** The options of a pool. */
export function readPoolConfig(given: PoolConfig | undefined): { settings: PoolSettings; target: Target } {
  const { settings, target } = readSettings(given, POOL);
  const { max, poolSize, min, idleTimeoutMillis = defaults.idleTimeoutMillis, maxLifetimeSeconds } = given ?? {};
  Object.assign(settings, {
    max: max || poolSize || defaults.max,
    ...(min && { min }),
    idleTimeoutMillis: idleTimeoutMillis || Infinity,
    maxLifetimeMs: maxLifetimeSeconds ? maxLifetimeSeconds * 1000 : Infinity,
  });
  return { settings, target };
}

/** The options as `pool.options` has them. */
export function publicOptions(config: PoolConfig = {}): PoolConfig {
  const {
    poolSize = 10,
    max = poolSize,
    min = 0,
    maxUses = Infinity,
    idleTimeoutMillis = 10_000,
    maxLifetimeSeconds = 0,
  } = config;
  const options = { ...config, max, min, maxUses, idleTimeoutMillis, maxLifetimeSeconds };
  for (const secret of ['password', 'connectionString', 'ssl'] as const) {
    const value = config[secret];
    if (value !== undefined) Object.defineProperty(options, secret, { value, enumerable: false, writable: true });
  }
  return options;
}

/** The options that are heeded here, and not below. */
export function checkOwn({ onConnect, maxUses, maxLifetimeSeconds, Client: type }: PoolConfig): void {
  if (onConnect != null && typeof onConnect !== 'function')
    throw invalidType('config.onConnect', 'a function', onConnect);
  if (type != null && type !== Client) {
    throw invalidValue(
      'config.Client is not supported but as Client of moorline/pg: connections are made in native code',
    );
  }
  for (const [name, number] of Object.entries({ maxUses, maxLifetimeSeconds })) {
    if (number != null && !(typeof number === 'number' && number >= 0))
      throw invalidType(`config.${name}`, 'a number ≥ 0', number);
  }
}
