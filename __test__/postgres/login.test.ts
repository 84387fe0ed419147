// Who logs in, and where: passwords that a function gives, connection strings, and the variables of the environment.
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';

import type * as Errors from '../../lib/postgres/error';
import type { PasswordTarget, PostgresPoolConfig } from '../../lib/postgres/options';
import type * as Pools from '../../lib/postgres/pool';
import { load } from '../support/native';
import { Postgres, skipWithoutPostgres } from '../support/postgres';

const { PostgresConnectionPool } = load<typeof Pools>('postgres/pool');
const { PostgresError } = load<typeof Errors>('postgres/error');

const SHOWN = `SELECT current_user AS user, current_database() AS database, inet_server_port() AS port,
  current_setting('application_name') AS name, current_setting('statement_timeout') AS timeout`;

describe('logging in to PostgreSQL', { skip: skipWithoutPostgres(), timeout: 60_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'moorline-postgres-login-'));
  const environment = { ...process.env };
  let server: Postgres;
  let pools: InstanceType<typeof PostgresConnectionPool>[] = [];

  const open = (config: Omit<PostgresPoolConfig, 'healthCheckIntervalMs'>) => {
    const pool = new PostgresConnectionPool({ connectionTimeoutMillis: 10_000, ...config });
    pools.push(pool);
    return pool;
  };
  const failure = async (call: Promise<unknown>) => {
    const error: unknown = await call.then(
      () => assert.fail('it succeeded'),
      (error: unknown) => error,
    );
    assert.ok(error instanceof PostgresError, String(error));
    return error;
  };

  before(async () => {
    server = await Postgres.start();
    server.psql("CREATE USER named PASSWORD 'pw'");
    server.psql('CREATE DATABASE other');
  });
  after(async () => {
    await server.stop();
    rmSync(directory, { recursive: true });
  });
  afterEach(async () => {
    for (const name of Object.keys(process.env)) if (!(name in environment)) delete process.env[name];
    Object.assign(process.env, environment);
    await Promise.all(pools.map((pool) => pool.end(1000)));
    pools = [];
  });

  test('a function is asked for the password of each connection', async () => {
    const asked: PasswordTarget[] = [];
    const { password, ...target } = server.config;
    const pool = open({
      ...server.config,
      max: 2,
      password: async (given) => {
        asked.push(given);
        // Bytes are as good as a text.
        return asked.length === 1 ? password : Buffer.from(password);
      },
    });
    await Promise.all([pool.query('SELECT pg_sleep(0.1)'), pool.query('SELECT pg_sleep(0.1)')]);
    await pool.query('SELECT 1');
    assert.deepEqual(asked, [target, target]);
    assert.equal((await open({ ...server.config, password: () => password }).query('SELECT 1')).rowCount, 1);
  });

  test('what a password function throws, or returns that is none, is an error of kind auth', async () => {
    const reason = new Error('the vault is closed');
    const thrown = await failure(open({ ...server.config, password: () => Promise.reject(reason) }).query('SELECT 1'));
    assert.deepEqual([thrown.kind, thrown.delivery, thrown.operation], ['auth', 'none', 'query']);
    assert.equal(thrown.message, 'the function options.password has failed');
    assert.equal((thrown.cause as Error).message, reason.message);
    assert.match(thrown.stack!, /login\.test/);
    for (const none of [undefined, 7, {}]) {
      const wrong = await failure(open({ ...server.config, password: (() => none) as never }).query('SELECT 1'));
      assert.deepEqual([wrong.kind, wrong.code], ['auth', 'ERR_INVALID_ARG_TYPE']);
      assert.match(wrong.message, /^what options\.password returns must be a string or bytes/);
    }
    const wrong = await failure(open({ ...server.config, password: () => 'not it' }).query('SELECT 1'));
    assert.deepEqual([wrong.kind, wrong.code], ['auth', '28P01']);
  });

  test('a password function has the time of its connection', async () => {
    let late: ((password: string) => void) | undefined;
    const pool = open({
      ...server.config,
      connectionTimeoutMillis: 300,
      password: () => new Promise<string>((resolve) => (late ??= resolve)),
    });
    const began = performance.now();
    const error = await failure(pool.query('SELECT 1'));
    assert.ok(performance.now() - began < 5_000);
    assert.match(error.kind, /connect|pool-timeout/);
    assert.equal(error.code, 'ETIMEDOUT');
    // Its answer has nobody who waits for it.
    late!(server.config.password);
  });

  test('an option comes before the connection string, that before the environment, that before the default', async () => {
    const { port, user, password } = server.config;
    const shown = async (config: Omit<PostgresPoolConfig, 'healthCheckIntervalMs'>) =>
      (await open(config).query(SHOWN)).rows[0];
    Object.assign(process.env, {
      PGHOST: '127.0.0.1',
      PGPORT: String(port),
      PGUSER: user,
      PGPASSWORD: password,
      PGDATABASE: 'postgres',
      PGAPPNAME: 'of the environment',
      PGOPTIONS: '-c statement_timeout=1s',
    });
    const base = { user, database: 'postgres', port, name: 'of the environment', timeout: '1s' };
    assert.deepEqual(await shown({}), base);
    const uri = `postgres://named:pw@localhost:${port}/other?options=-c%20statement_timeout%3D2s`;
    const named = { ...base, user: 'named', database: 'other', timeout: '2s' };
    assert.deepEqual(await shown({ connectionString: uri }), named);
    assert.deepEqual(await shown({ connectionString: uri.replace('postgres:', 'postgresql:') }), named);
    assert.deepEqual(
      await shown({ connectionString: "user=named password=pw dbname=other options='-c statement_timeout=2s'" }),
      named,
    );
    const given = {
      connectionString: uri,
      database: 'postgres',
      applicationName: 'mine',
      options: '-c statement_timeout=3s',
    };
    assert.deepEqual(await shown(given), { ...named, database: 'postgres', name: 'mine', timeout: '3s' });
    delete process.env['PGAPPNAME'];
    delete process.env['PGOPTIONS'];
    assert.deepEqual(await shown({}), { ...base, name: 'moorline', timeout: '0' });
  });

  test('a password file is found as libpq finds it, and a socket by its directory', async () => {
    const { host, port, user, password } = server.config;
    const file = join(directory, 'passwords');
    writeFileSync(file, `${host}:${port}:*:${user}:${password}\n`);
    chmodSync(file, 0o600);
    const target = { host, port, user, database: 'postgres' };
    delete process.env['PGPASSWORD'];
    process.env['HOME'] = directory;
    const missing = await failure(open(target).query('SELECT 1'));
    assert.deepEqual([missing.kind, missing.code], ['auth', 'ERR_POSTGRES_PASSWORD_MISSING']);
    assert.equal((await open({ ...target, passfile: file }).query('SELECT 1')).rowCount, 1);
    process.env['PGPASSFILE'] = file;
    assert.equal((await open(target).query('SELECT 1')).rowCount, 1);
    delete process.env['PGPASSFILE'];
    if (process.platform !== 'win32') {
      writeFileSync(join(directory, '.pgpass'), `*:*:*:*:${password}\n`, { mode: 0o600 });
      assert.equal((await open(target).query('SELECT 1')).rowCount, 1);
    }
    // The server trusts whoever can open its socket.
    const socket = open({ ...target, host: server.directory });
    assert.equal((await socket.query(SHOWN)).rows[0].port, null);
  });

  test('what is no option, string or variable is refused by name', () => {
    const refused: [config: object, environment: Record<string, string>, reason: RegExp][] = [
      [{ hots: 'x' }, {}, /options\.hots is not a known option; did you mean 'host'/],
      [{ password: 7 }, {}, /options\.password must be a string, bytes or a function/],
      [{ connectionString: 'mysql://h' }, {}, /options\.connectionString must begin with postgres:/],
      [{ connectionString: 'postgres://h?sslmod=x' }, {}, /options\.connectionString\.sslmod is not a known/],
      [{ connectionString: 'service=prod' }, {}, /options\.connectionString\.service is not supported/],
      [{}, { PGSERVICE: 'prod' }, /PGSERVICE is not supported/],
      [{ sslmode: 'on' }, {}, /options\.sslmode must be/],
      [{ keepAliveCount: 0 }, {}, /options\.keepAliveCount must be/],
    ];
    for (const [config, variables, reason] of refused) {
      Object.assign(process.env, variables);
      assert.throws(() => open({ user: 'me', ...config }), reason);
      for (const name of Object.keys(variables)) delete process.env[name];
    }
  });
});
