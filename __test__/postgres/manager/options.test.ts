// The options of a manager: each takes effect, whether it is given, in the string, in the environment or in the profile.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';

import { PostgresConnectionManager, postgresProfiles, type PostgresManagerConfig } from 'moorline';

const base = { user: 'app', host: 'db.internal', tunnel: false } as const;
const surroundings = { ...process.env };

/** The value of an option that is in force. */
function inForce(config: PostgresManagerConfig, name: string): unknown {
  const manager = new PostgresConnectionManager({ healthCheckIntervalMs: Infinity, ...config, tunnel: false });
  const options = manager.options() as unknown as Record<string, unknown>;
  manager.shutdown(0).catch(() => undefined);
  return options[name];
}

describe('the options of PostgresConnectionManager', () => {
  afterEach(() => {
    for (const name of Object.keys(process.env)) if (!(name in surroundings)) delete process.env[name];
    Object.assign(process.env, surroundings);
  });

  const DEFAULTS: [name: string, byDefault: unknown, given: unknown][] = [
    ['port', '5432', 6543],
    ['database', 'app', 'orders'],
    ['applicationName', 'moorline', 'shop'],
    ['sslmode', 'verify-full', 'disable'],
    ['max', 20, 7],
    ['min', 0, 2],
    ['maxIdle', 20, 3],
    ['maxConnecting', 4, 1],
    ['maxWaiters', 10_000, 5],
    ['idleTimeoutMillis', 30_000, 1000],
    ['connectionTimeoutMillis', 2000, 500],
    ['maxLifetimeMs', 1_800_000, Infinity],
    ['leakAfterMs', 30_000, 100],
    ['recycleTimeoutMs', 5000, 100],
    ['keepAliveTimeoutMs', 60_000, 2000],
    ['queryTimeoutMs', 30_000, Infinity],
    ['healthCheckIntervalMs', 60_000, 15],
    ['pooling', true, false],
    ['monitoring', true, false],
    ['connectionLog', false, true],
    ['connectionLogRetentionMs', 2_592_000_000, Infinity],
  ];
  for (const [name, byDefault, given] of DEFAULTS) {
    test(`${name} is ${String(byDefault)}, unless it is given`, () => {
      const shown = (value: unknown) => (name === 'port' ? String(value) : value);
      assert.equal(inForce({ ...base, [name]: undefined }, name), byDefault);
      assert.equal(inForce({ ...base, [name]: given } as PostgresManagerConfig, name), shown(given));
    });
  }

  const VARIABLES: [variable: string, option: string, inVariable: string, read: unknown, given: unknown][] = [
    ['POSTGRES_HOST', 'host', 'b.internal', 'b.internal', 'a.internal'],
    ['POSTGRES_PORT', 'port', '6543', '6543', 7654],
    ['POSTGRES_USER', 'user', 'guest', 'guest', 'owner'],
    ['POSTGRES_DB', 'database', 'orders', 'orders', 'invoices'],
    ['POSTGRES_MAX_CONNECTIONS', 'max', '33', 33, 3],
    ['POSTGRES_IDLE_TIMEOUT', 'idleTimeoutMillis', '1234', 1234, 12],
    ['POSTGRES_CONNECTION_TIMEOUT', 'connectionTimeoutMillis', '4321', 4321, 43],
    ['POSTGRES_HEALTH_CHECK_INTERVAL', 'healthCheckIntervalMs', 'Infinity', Infinity, 99],
  ];
  for (const [variable, option, inVariable, read, given] of VARIABLES) {
    test(`${variable} gives ${option}, before the profile and after what is given`, () => {
      process.env['ENVIRONMENT'] = 'production';
      process.env[variable] = inVariable;
      const { [option]: _, ...others } = { ...base, healthCheckIntervalMs: undefined } as Record<string, unknown>;
      assert.equal(inForce({ user: 'app', ...others, [option]: undefined } as PostgresManagerConfig, option), read);
      const chosen = inForce({ user: 'app', ...others, [option]: given } as PostgresManagerConfig, option);
      assert.equal(chosen, option === 'port' ? String(given) : given);
    });
  }

  test('a variable that is none of its kind is refused by its name', () => {
    process.env['POSTGRES_MAX_CONNECTIONS'] = 'many';
    assert.throws(() => inForce(base, 'max'), /^TypeError: POSTGRES_MAX_CONNECTIONS must be a number, got 'many'/);
    process.env['POSTGRES_MAX_CONNECTIONS'] = '0';
    assert.throws(() => inForce(base, 'max'), /^RangeError: POSTGRES_MAX_CONNECTIONS must be /);
  });

  test('a string stands for the options, and comes before variables', () => {
    process.env['POSTGRES_HOST'] = 'variable.internal';
    process.env['POSTGRES_MAX_CONNECTIONS'] = '3';
    const connectionString = 'postgres://app:secret@string.internal:6543/orders?application_name=shop&sslmode=require';
    const manager = new PostgresConnectionManager({ connectionString, tunnel: false });
    const { host, port, user, database, applicationName, sslmode, max } = manager.options();
    assert.deepEqual(
      [host, port, user, database, applicationName, sslmode, max],
      ['string.internal', '6543', 'app', 'orders', 'shop', 'require', 3],
    );
    assert.doesNotMatch(JSON.stringify(manager.options()), /secret/);
    assert.equal(inForce({ connectionString, host: 'given.internal' }, 'host'), 'given.internal');
  });

  test('libpq’s variables come after a manager’s', () => {
    process.env['PGHOST'] = 'libpq.internal';
    assert.equal(inForce({ user: 'app' }, 'host'), 'libpq.internal');
    process.env['POSTGRES_HOST'] = 'manager.internal';
    assert.equal(inForce({ user: 'app' }, 'host'), 'manager.internal');
  });

  for (const name of ['development', 'production'] as const) {
    test(`the profile ${name} gives the defaults, named or by the deployment`, () => {
      const { maxConnections, idleTimeout, connectionTimeout, healthCheckInterval } = postgresProfiles[name];
      const check = (config: PostgresManagerConfig) => {
        const free = { ...config, healthCheckIntervalMs: undefined };
        assert.equal(inForce(free, 'max'), maxConnections);
        assert.equal(inForce(free, 'idleTimeoutMillis'), idleTimeout);
        assert.equal(inForce(free, 'connectionTimeoutMillis'), connectionTimeout);
        assert.equal(inForce(free, 'healthCheckIntervalMs'), healthCheckInterval);
        assert.equal(inForce({ ...config, max: 1 }, 'max'), 1);
      };
      check({ ...base, profile: name });
      process.env['NODE_ENV'] = name;
      check(base);
    });
  }
});
