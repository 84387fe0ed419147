// The code blocks of document 3, compiled as their reader would compile them, and run against sshd and PostgreSQL.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { PostgresConnectionManager, setLogger, SSHTunnel } from 'moorline';

import { eventually } from '../support/eventually';
import { root } from '../support/paths';
import { freePort } from '../support/ports';
import { Postgres, skipWithoutPostgres } from '../support/postgres';
import { skipWithoutSshd, Sshd } from '../support/sshd';
import { compile, type Snippet } from './compile';
import { document3, type ManagerPlaces } from './edits';
import { codeBlocks, specificationDocument } from './extract';

const blocks = codeBlocks(specificationDocument(3));
/** The lines that the document shows for the file `.env.local`. */
const ENVIRONMENT_LINES = /^SSH_HOST=your_remote_host\n(?:\w+=.*\n)+/m.exec(blocks[3]!.code)![0];

describe('document 3', { skip: skipWithoutSshd() || skipWithoutPostgres(), timeout: 120_000 }, () => {
  const surroundings = { ...process.env };
  const directory = process.cwd();
  let sshd: Sshd;
  let snippets: Map<number, Snippet>;
  let places: ManagerPlaces;
  let server: Postgres;

  before(async () => {
    setLogger({});
    [sshd, server] = await Promise.all([Sshd.start(), Postgres.start()]);
    server.psql('CREATE DATABASE chatgenius');
    // The user's home, with the key and the known hosts that the document takes for granted.
    mkdirSync(sshd.path('.ssh'));
    for (const name of ['id_rsa', 'your_key']) sshd.file(`.ssh/${name}`, sshd.read('user'));
    const [type, key] = sshd.read('host.pub').split(' ');
    sshd.file('.ssh/known_hosts', `[127.0.0.1]:${sshd.port} ${type} ${key}\n`);
    writeFileSync(sshd.path('package.json'), '{}');
    const lines = ENVIRONMENT_LINES.replace('your_remote_host', '127.0.0.1').replace('your_ssh_user', sshd.username);
    sshd.file('.env.local', `${lines}SSH_PORT=${sshd.port}\n`);
    const { database: _, ...database } = server.config;
    places = { sshPort: sshd.port, username: sshd.username, localPort: await freePort(), database };
    const edits = document3(places, ENVIRONMENT_LINES);
    snippets = compile(
      3,
      blocks.filter(({ number }) => number in edits),
      edits,
    );
    process.env['HOME'] = sshd.directory;
    process.chdir(sshd.directory);
    // A pool without a word of where its server is asks these.
    const { host, port, user, password } = places.database;
    Object.assign(process.env, { PGHOST: host, PGPORT: port, PGUSER: user, PGPASSWORD: password });
  });
  after(async () => {
    SSHTunnel.resetInstance();
    process.chdir(directory);
    for (const name of Object.keys(process.env)) if (!(name in surroundings)) delete process.env[name];
    Object.assign(process.env, surroundings);
    setLogger(undefined);
    await Promise.all([sshd?.stop(), server?.stop()]);
  });

  async function run(number: number): Promise<Record<string, any>> {
    const snippet = snippets.get(number)!;
    assert.equal(snippet.diagnostics, '', snippet.source);
    return snippet.load();
  }

  test('the config and the class that are declared: ours takes the one, and is assignable to the other', async () => {
    assert.equal((await run(1))['tunnel'].options().sshPort, 22);
  });

  test('the profiles are assignable to what is declared', async () => {
    const { profiles, required_env_vars: variables } = await run(3);
    assert.deepEqual([profiles.development.maxConnections, profiles.production.maxConnections], [20, 100]);
    // Those of the tunnel are the ones that are required, the others the pool's.
    const names = (variables as string[]).map((variable) => variable.split('=')[0]!);
    const required = names.filter((name) => name.startsWith('SSH_'));
    const ofPool = ['POSTGRES_MAX_CONNECTIONS', 'POSTGRES_IDLE_TIMEOUT', 'POSTGRES_HEALTH_CHECK_INTERVAL'];
    assert.deepEqual(names, [...ofPool, ...required]);
    assert.throws(
      () => SSHTunnel.initializeFromEnv({ envFile: sshd.path('nowhere') }),
      ({ message }: Error) => {
        const [text, missing] = message.split(': ');
        assert.equal(text, 'Missing required environment variables');
        assert.deepEqual(missing!.split(', ').sort(), required.sort());
        return true;
      },
    );
  });

  test('usage, and its error recovery after a loss', async () => {
    const { tunnel, manager, printed } = await run(4);
    assert.equal(SSHTunnel.getInstance(), tunnel);
    assert.equal(tunnel.isConnectedToTunnel(), false);
    assert.equal(tunnel.options().sshKeyPath, sshd.path('.ssh/id_rsa'));
    await tunnel.connect();
    assert.equal(tunnel.localPort, places.localPort);
    sshd.cutSessions();
    await eventually(() => tunnel.stats().reconnects === 1, 20_000);
    assert.match(String(printed), /^Tunnel error: MoorlineError: /);
    const { rows } = await manager.query('SELECT current_database() AS name');
    assert.deepEqual(rows, [{ name: 'chatgenius' }]);
    const { max, idleTimeoutMillis, connectionTimeoutMillis, healthCheckIntervalMs } = manager.options();
    assert.deepEqual(
      [max, idleTimeoutMillis, connectionTimeoutMillis, healthCheckIntervalMs],
      [20, 30_000, 2000, 60_000],
    );
    await manager.shutdown();
    SSHTunnel.resetInstance();
  });

  test('lifecycle: initialization, from the file of the usage block, and cleanup', async () => {
    const { tunnel, manager } = await run(5);
    assert.equal(tunnel.isConnectedToTunnel(), true);
    const { sshHost, sshUsername, sshKeyPath, localPort } = tunnel.options();
    const expected = ['127.0.0.1', sshd.username, sshd.path('.ssh/your_key'), undefined];
    assert.deepEqual([sshHost, sshUsername, sshKeyPath, localPort], expected);
    const { POSTGRES_MAX_CONNECTIONS, POSTGRES_IDLE_TIMEOUT } = process.env;
    assert.deepEqual([POSTGRES_MAX_CONNECTIONS, POSTGRES_IDLE_TIMEOUT], ['20', '30000']);
    assert.deepEqual((await manager.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
    await manager.shutdown();
    const { manager: ended } = await run(8);
    await assert.rejects(ended.query('SELECT 1'), { kind: 'closed' });
    assert.equal(tunnel.isConnectedToTunnel(), false);
    assert.throws(() => SSHTunnel.getInstance(), /not initialized/);
  });

  test('tunnel errors: a reset connects again, any other is the application’s', async () => {
    const { tunnel, printed } = await run(9);
    await tunnel.connect();
    sshd.cutSessions();
    await eventually(() => tunnel.stats().reconnects === 1, 20_000);
    assert.deepEqual(printed, ['SSH connection reset by peer']);
    const forwarded: Error[] = [];
    tunnel.on('tunnelError', (error: Error) => forwarded.push(error));
    const other = Object.assign(new Error('something else'), { code: 'EOTHER' });
    tunnel.emit('error', other);
    assert.deepEqual(forwarded, [other]);
    await tunnel.disconnect();
  });

  test('database changes: what is created is what installConnectionLog creates', async () => {
    await using manager = new PostgresConnectionManager({ ...server.config, tunnel: false });
    await manager.query(blocks.find(({ language }) => language === 'sql')!.code);
    await manager.installConnectionLog();
    await manager.query("SELECT log_connection_event('7', 'open'), log_connection_event('8', 'lost', 'reset', $1)", [
      { n: 1 },
    ]);
    const { rows } = await manager.query(
      'SELECT connection_id, status, error_message, metadata FROM connection_logs ORDER BY id',
    );
    assert.deepEqual(rows, [
      { connection_id: '7', status: 'open', error_message: null, metadata: {} },
      { connection_id: '8', status: 'lost', error_message: 'reset', metadata: { n: 1 } },
    ]);
  });

  test('lifecycle: pool management', async () => {
    const { pool, client } = await run(6);
    assert.deepEqual([pool.totalCount, pool.idleCount], [1, 1]);
    await assert.rejects(client.query('SELECT 1'));
    await pool.end();
  });

  test('lifecycle: health checks', async () => {
    const { manager, printed } = await run(7);
    assert.equal((await manager.healthCheck()).healthy, true);
    assert.deepEqual(printed, []);
    await server.end();
    await eventually(() => printed.length > 0);
    assert.match(String(printed[0]), /^Health check failed: PostgresError: /);
    await server.listen();
    await manager.shutdown();
  });

  test('connection pool errors', async () => {
    const { Pool } = (await import('moorline/pg')) as { Pool: new (config: object) => any };
    const pool = new Pool({ max: 1, connectionTimeoutMillis: 1000 });
    const { run: use } = await run(10);
    // What the block borrows it keeps.
    assert.deepEqual((await use(pool)).printed, []);
    assert.deepEqual((await use(pool)).printed, ['Connection timeout']);
    const refused = new Pool({ port: 1 });
    assert.equal((await use(refused)).printed.at(-1), 'Database connection refused');
    await refused.end();
  });

  test('health check recovery', async () => {
    const { Recovering, printed } = await run(11);
    const tunnel = new SSHTunnel({ ...sshd.config, maxRetries: 0 });
    const manager = new Recovering({
      ...server.config,
      tunnel,
      healthCheckIntervalMs: Infinity,
      connectionTimeoutMillis: 5000,
    });
    const failures: Error[] = [];
    manager.on('healthCheckFailed', (error: Error) => failures.push(error));
    await manager.handleHealthCheckFailure(new Error('the first'));
    assert.deepEqual(printed.splice(0), ['Health check failed: Error: the first', 'Database connection recovered']);
    assert.equal(tunnel.isConnectedToTunnel(), true);
    await server.end();
    await manager.handleHealthCheckFailure(new Error('the second'));
    assert.match(printed.splice(0)[1], /^Database connection failed: PostgresError: /);
    await server.listen();
    await sshd.kill();
    await eventually(() => !tunnel.isConnectedToTunnel());
    await manager.handleHealthCheckFailure(new Error('the third'));
    assert.match(printed.splice(0)[1], /^Failed to reconnect tunnel: MoorlineError: /);
    assert.equal(failures.length, 2);
    await sshd.listen();
    await manager.shutdown();
    await tunnel.disconnect();
  });

  test('resource management: what runs may end, and the tunnel is closed', async () => {
    const { Cleaning, printed } = await run(12);
    const tunnel = new SSHTunnel(sshd.config);
    const manager = new Cleaning({ ...server.config, tunnel, connectionTimeoutMillis: 5000 });
    await manager.query('SELECT 1');
    const running = manager.query('SELECT pg_sleep(0.2)');
    const cleaning = manager.cleanup();
    await assert.rejects(manager.query('SELECT 1'), { kind: 'closed' });
    await cleaning;
    assert.equal((await running).rowCount, 1);
    assert.deepEqual(printed, []);
    assert.equal(tunnel.isConnectedToTunnel(), false);
    assert.equal(manager.stats().total, 0);
  });

  test('testing requirements: every title is that of a test', async () => {
    const { titles } = await run(13);
    const lists = specificationDocument(3)
      .match(/### Integration Tests[^]*?## Monitoring/)![0]
      .matchAll(/^- (.+)$/gm);
    const files = ['manager', 'integration', 'e2e'].map((name) =>
      readFileSync(join(root, '__test__', 'postgres', 'manager', `${name}.test.ts`), 'utf8'),
    );
    const wanted = [...(titles as string[]), ...[...lists].map(([, title]) => title!)];
    assert.equal(wanted.length, 13);
    for (const title of wanted)
      assert.ok(
        files.some((file) => file.includes(`test('${title}'`)),
        title,
      );
  });

  test('logging and metrics: ours are assignable to what is declared', async () => {
    const { toFormat } = await run(14);
    const { metricsOf } = await run(15);
    await using manager = new PostgresConnectionManager({ ...server.config, tunnel: false });
    const records: object[] = [];
    setLogger({ debug: (record) => records.push(record) });
    await manager.withClient(() => undefined);
    setLogger({});
    for (const record of records) {
      const { timestamp, correlationId, level, event, data } = toFormat(record);
      assert.match(timestamp, /^\d{4}-.*Z$/);
      assert.match(`${correlationId} ${level} ${event}`, /^\S+ debug connection_(acquired|released)$/);
      assert.deepEqual([typeof data.connectionId, typeof data.poolSize], ['string', 'number']);
    }
    assert.equal(records.length, 2);
    metricsOf(manager).performance.connectionErrors.inc();
  });
});
