// What moorline/pg does in its own way: options and arguments that are refused, the environment, strings, what borrowers leave.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';

import { MoorlineError } from 'moorline';
import pg, { Client, DatabaseError, defaults, Pool, type PoolConfig, TypeOverrides, types } from 'moorline/pg';

import { eventually } from '../support/eventually';
import { Postgres, skipWithoutPostgres } from '../support/postgres';

describe('what is refused', () => {
  test('options of pg that cannot be heeded, and unknown ones, are refused by name', () => {
    const reasons: [options: object, message: RegExp][] = [
      [{ stream: () => undefined }, /^config\.stream is not a known option; connections are made in native code/],
      [{ binary: true }, /^config\.binary is not a known option; values are sent as texts$/],
      [{ replication: 'database' }, /^config\.replication /],
      [{ Promise }, /^config\.Promise is not a known option; promises are those of Node\.js$/],
      [{ log: console.log }, /^config\.log is not a known option; setLogger/],
      [{ verify: () => undefined }, /^config\.verify is not a known option; onConnect/],
      [{ scramMaxIterations: 5 }, /^config\.scramMaxIterations /],
      [{ client_encoding: 'LATIN1' }, /^config\.client_encoding is not supported but as UTF8$/],
      [{ Client: class {} }, /^config\.Client is not supported but as Client of moorline\/pg/],
      [
        { ssl: { checkServerIdentity: () => undefined } },
        /^config\.ssl\.checkServerIdentity is not a known option; sslmode/,
      ],
      [{ ssl: { passphrase: 'x' } }, /^config\.ssl\.passphrase is not a known option; decrypt the key/],
      [{ ssl: { ciphers: 'x' } }, /options\.ssl\.ciphers is not a known option/],
      [{ hots: 'x' }, /^config\.hots is not a known option/],
      [{ connectionString: 'postgres://u:hunter2@h:x/d' }, /^connectionString must be a postgres:\/\/ URL/],
      [{ connectionString: 'postgres://u@h/d?schema=public' }, /schema is not a known option/],
      [{ keepAlive: 'yes' }, /^config\.keepAlive must be a boolean/],
      [{ onConnect: 1 }, /^config\.onConnect must be a function/],
      [{ maxUses: -1 }, /^config\.maxUses must be a number ≥ 0/],
    ];
    for (const [options, message] of reasons) {
      assert.throws(
        () => new Pool({ user: 'u', ...options } as PoolConfig),
        (error: Error) => {
          assert.ok(error instanceof TypeError || error instanceof RangeError, String(error));
          assert.match(error.message, message);
          assert.doesNotMatch(error.message, /hunter2/);
          return true;
        },
      );
    }
    assert.throws(() => new Client(1 as never), /^TypeError: config must be a string or an object, got 1$/);
    assert.throws(() => (defaults.parseInputDatesAsUTC = true), /parseInputDatesAsUTC is not supported/);
  });

  test('what pg takes for off, or as it is here anyway, is taken', () => {
    const off = { stream: undefined, binary: false, replication: null, log: undefined, host: null, password: null };
    const same = { keepAlive: true, keepAliveInitialDelayMillis: 10_000, allowExitOnIdle: false, pipeline: true };
    new Pool({ user: 'u', ...(off as object), ...same, Client, min: 0, ssl: false, client_encoding: 'utf-8' });
  });

  test('callbacks and objects that submit themselves are refused', async () => {
    const pool = new Pool({ user: 'u', port: 1 }) as any;
    const client = new Client({ user: 'u', port: 1 }) as any;
    const callback = () => assert.fail('it was called');
    for (const call of [
      () => pool.query('SELECT 1', callback),
      () => pool.query('SELECT $1', [1], callback),
      () => pool.connect(callback),
      () => pool.end(callback),
      () => client.connect(callback),
      () => client.query('SELECT 1', callback),
      () => client.query({ text: 'SELECT 1', callback }),
      () => client.end(callback),
    ]) {
      await assert.rejects(call(), { name: 'TypeError', message: /callbacks are not supported; use the promise/ });
    }
    await assert.rejects(client.query({ submit() {} }), /classes such as those of pg-cursor are not supported/);
    await assert.rejects(
      client.query({ text: 'SELECT 1', rows: 5 }),
      /query\.rows is not a known option; results are read whole/,
    );
    await assert.rejects(client.query({ text: 'SELECT 1', nmae: 'x' }), /query\.nmae is not a known option/);
    await pool.end();
  });

  test('both forms of import, and what is in them', () => {
    assert.equal(pg.Pool, Pool);
    assert.deepEqual(Object.keys(pg).sort(), [
      ...['Client', 'ClientBase', 'DatabaseError', 'Pool', 'PoolClient', 'TypeOverrides'],
      ...['defaults', 'escapeIdentifier', 'escapeLiteral', 'types'],
    ]);
  });
});

describe('moorline/pg', { skip: skipWithoutPostgres(), timeout: 120_000 }, () => {
  const surroundings = { ...process.env };
  let server: Postgres;
  let pools: Pool[] = [];
  const open = (more: PoolConfig = {}) => {
    const pool = new Pool({ ...server.config, ...more });
    pools.push(pool);
    return pool;
  };

  before(async () => {
    server = await Postgres.start();
  });
  after(() => server.stop());
  afterEach(async () => {
    for (const name of Object.keys(process.env)) if (name.startsWith('PG')) delete process.env[name];
    Object.assign(process.env, surroundings);
    await Promise.all(pools.map((pool) => pool.end()));
    pools = [];
  });

  test('an error of the server is one of pg and one of moorline', async () => {
    const pool = open();
    await pool.query('CREATE TABLE once (id int PRIMARY KEY); INSERT INTO once VALUES (1)');
    const error = await pool.query('INSERT INTO once VALUES (1)').catch((error: unknown) => error);
    assert.ok(error instanceof DatabaseError && error instanceof MoorlineError);
    assert.deepEqual([error.detail, error.code, error.kind], ['Key (id)=(1) already exists.', '23505', 'rejected']);
    assert.deepEqual([error.delivery, error.retryable, error.name], ['answered', false, 'error']);
    assert.match(error.stack!, /own\.test/);
    // The connection is as good as before; pg closes it.
    assert.equal(pool.totalCount, 1);
  });

  test('a borrower finds nothing of the one before, but what sets the connection up', async () => {
    const pool = open({ max: 1 });
    let connects = 0;
    pool.on('connect', async (client) => {
      connects++;
      await client.query('SET search_path = pg_catalog');
      // One after the other.
      await client.query("SELECT set_config('moorline.set_up', $1, false)", ['yes']);
    });
    const ask = `SELECT current_setting('search_path') AS path, current_setting('moorline.set_up', true) AS own,
      current_setting('statement_timeout') AS timeout, pg_backend_pid() AS id`;
    const [first] = (await pool.query(ask)).rows;
    assert.deepEqual([first.path, first.own], ['pg_catalog', 'yes']);
    for (const left of [
      "SET search_path = public; SET statement_timeout = '7s'",
      'BEGIN',
      'BEGIN; SELECT 1/0',
      'LISTEN news',
    ]) {
      const client = await pool.connect();
      await client.query(left).catch(() => undefined);
      client.release();
      assert.deepEqual((await pool.query(ask)).rows, [first], left);
    }
    assert.equal(connects, 1);
  });

  test('the environment, as pg reads it', async () => {
    const { host, port, user, password, database } = server.config;
    Object.assign(process.env, { PGHOST: host, PGPORT: String(port), PGUSER: user, PGPASSWORD: password });
    Object.assign(process.env, { PGDATABASE: database, PGAPPNAME: 'from outside', PGOPTIONS: '-c work_mem=9MB' });
    // Variables of libpq that pg does not read.
    Object.assign(process.env, { PGSERVICE: 'nowhere', PGSSLROOTCERT: '/nowhere', PGTARGETSESSIONATTRS: 'read-only' });
    const pool = new Pool();
    pools.push(pool);
    const { rows } = await pool.query(
      "SELECT current_setting('application_name') AS a, current_setting('work_mem') AS w",
    );
    assert.deepEqual(rows, [{ a: 'from outside', w: '9MB' }]);
    const client = new Client({ application_name: 'given' });
    assert.deepEqual([client.host, client.port, client.user, client.database], [host, port, user, database]);
    await client.connect();
    assert.deepEqual((await client.query('SHOW application_name')).rows, [{ application_name: 'given' }]);
    await client.end();
    delete process.env['PGPASSWORD'];
    process.env['PGPASSFILE'] = server.file('passwords', `*:*:*:${user}:${password}\n`);
    if (process.getuid?.() === 0) {
      const filed = new Client();
      await filed.connect();
      await filed.end();
    }
  });

  test('connection strings, which come before the other options', async () => {
    const { host, port, user, password, database } = server.config;
    const url = `postgres://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}`;
    for (const [connectionString, ask, expected] of [
      [url, 'SHOW application_name', 'given'],
      [`${url}?application_name=a%20b&statement_timeout=1234`, 'SHOW statement_timeout', '1234ms'],
      [`${url}?application_name=a%20b`, 'SHOW application_name', 'a b'],
      [`${url}?sslmode=disable&options=-c%20work_mem%3D8MB`, 'SHOW work_mem', '8MB'],
      [`postgres://${user}@/${database}?host=${host}&port=${port}`, 'SELECT 1::text', '1'],
      [`postgresql://${host}:${port}?connect_timeout=9`, 'SELECT current_user::text', user],
      [`socket:${server.directory}?db=${database}`, 'SELECT 2::text', '2'],
      [`${server.directory} ${database}`, 'SELECT current_database()::text', database],
    ] as const) {
      const options = { user, password, port, application_name: 'given' };
      const client = new Client({ connectionString, ...options });
      await client.connect();
      const { rows } = await client.query({ text: ask, rowMode: 'array' });
      assert.deepEqual(rows, [[expected]], connectionString);
      await client.end();
    }
  });

  test('parsers: of all results, of a pool, taken out of their object', async () => {
    const { setTypeParser, getTypeParser } = types;
    const before = getTypeParser(types.builtins.INT8);
    const pool = open({ types: new TypeOverrides() });
    setTypeParser(types.builtins.INT8, Number);
    assert.deepEqual((await pool.query('SELECT 1::int8 AS n')).rows, [{ n: 1 }]);
    setTypeParser(types.builtins.INT8, before);
    defaults.parseInt8 = true;
    assert.deepEqual((await pool.query('SELECT 2::int8 AS n, ARRAY[3::int8] AS list')).rows, [{ n: 2, list: [3] }]);
    defaults.parseInt8 = false;
    const own = new TypeOverrides();
    own.setTypeParser(types.builtins.TEXT, (text) => text.toUpperCase());
    assert.deepEqual((await open({ types: own }).query("SELECT 'a' AS t, 4::int8 AS n")).rows, [{ t: 'A', n: '4' }]);
  });

  test('objects that build statements, and other objects of classes', async () => {
    class Statement {
      strings = ['SELECT ', '::int AS n'];
      values = [6];
      get text() {
        return this.strings.join('$1');
      }
    }
    assert.deepEqual((await open().query(new Statement())).rows, [{ n: 6 }]);
  });

  test('a signal cancels a statement; secrets do not show', async () => {
    const pool = open({ max: 1 });
    const late = pool.query({ text: 'SELECT pg_sleep(60)', signal: AbortSignal.timeout(50) });
    await assert.rejects(late, { name: 'TimeoutError' });
    const { inspect } = await import('node:util');
    assert.doesNotMatch(inspect([pool, pool.options, new Client(server.config)], { depth: 9 }), /secret of the tests/);
  });

  test('what is expired or worn is closed when it comes back', async () => {
    const pool = open({ max: 1, maxLifetimeSeconds: 0.05 });
    const client = await pool.connect();
    await eventually(() => pool.expiredCount === 1);
    client.release();
    await eventually(() => pool.totalCount === 0);
  });
});
