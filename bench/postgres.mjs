// Statements on one PostgreSQL: moorline beside `pg`, with its option `pipeline`, too, and `postgres`; through one sshd, beside `pg`
// over the streams of `ssh2`. Every row is checked.
//
// Each contestant has ten connections. Those of `pg` run a statement at a time, with `pipeline` several; `postgres` has several on a
// connection, too, and prepares each statement once.
import { once } from 'node:events';

import { bench, load, skipBench } from './harness.mjs';
import { startPostgres } from './servers/postgres.mjs';
import { startSshd } from './servers/sshd.mjs';

const { PostgresConnectionManager, SSHTunnel } = load('moorline');
const { default: pg } = await import('pg');
const { default: postgres } = await import('postgres');
const { default: ssh2 } = await import('ssh2');

const HOST = '127.0.0.1';
const CONNECTIONS = 10;
const ROWS = 1000;
const ONE = 'SELECT id, name, price, active, made FROM items WHERE id = $1';
const ALL = 'SELECT id, name, price, active, made FROM items ORDER BY id';
const TABLE = `CREATE TABLE items (id int PRIMARY KEY, name text, price float8, active bool, made timestamptz);
  INSERT INTO items SELECT id, 'item ' || id, id / 4.0, id % 2 = 0, to_timestamp(id) FROM generate_series(1, ${ROWS}) AS id;
  ANALYZE items`;

const why = (error) => skipBench('postgres', error.stderr?.toString() || error.message);
const server = await startPostgres(TABLE).catch(why);
const sshd = await startSshd().catch(why);

function check(name, row, id) {
  const { id: own, name: text, price, active, made } = row;
  const isRight = own === id && text === `item ${id}` && price === id / 4 && active === (id % 2 === 0);
  if (!isRight || made.getTime() !== id * 1000) throw new Error(`${name} read a wrong row: ${JSON.stringify(row)}`);
}

function moorline(more = { tunnel: false }, close = () => undefined) {
  const manager = new PostgresConnectionManager({
    ...server.config,
    max: CONNECTIONS,
    connectionTimeoutMillis: 10_000,
    ...more,
  });
  return {
    name: 'moorline',
    one: async (id) => (await manager.query(ONE, [id])).rows,
    all: async () => (await manager.query(ALL)).rows,
    close: async () => {
      await manager.shutdown();
      await close();
    },
  };
}

function pooled(name, more = {}) {
  const pool = new pg.Pool({ ...server.config, max: CONNECTIONS, idleTimeoutMillis: 0, ...more });
  return {
    name,
    one: async (id) => (await pool.query(ONE, [id])).rows,
    all: async () => (await pool.query(ALL)).rows,
    close: () => pool.end(),
  };
}

/** A pool lends a connection to one statement, so that nothing would be pipelined. */
async function pipelined() {
  const clients = Array.from({ length: CONNECTIONS }, () => new pg.Client({ ...server.config, pipeline: true }));
  await Promise.all(clients.map((client) => client.connect()));
  let next = 0;
  const client = () => clients[(next = (next + 1) % CONNECTIONS)];
  return {
    name: 'pg (pipeline)',
    one: async (id) => (await client().query(ONE, [id])).rows,
    all: async () => (await client().query(ALL)).rows,
    close: () => Promise.all(clients.map((one) => one.end())),
  };
}

function tagged() {
  const sql = postgres({ ...server.config, username: server.config.user, max: CONNECTIONS, onnotice: () => undefined });
  return {
    name: 'postgres',
    one: (id) => sql`SELECT id, name, price, active, made FROM items WHERE id = ${id}`,
    all: () => sql`SELECT id, name, price, active, made FROM items ORDER BY id`,
    close: () => sql.end(),
  };
}

async function tunnelled() {
  const { port, username, keyPath, fingerprint } = sshd;
  const login = { sshHost: HOST, sshPort: port, sshUsername: username, sshKeyPath: keyPath };
  const tunnel = new SSHTunnel({ ...login, hostKeyFingerprint: fingerprint });
  await tunnel.connect();
  return moorline({ tunnel }, () => tunnel.disconnect());
}

async function forwarded() {
  const client = new ssh2.Client();
  client.connect({ host: HOST, port: sshd.port, username: sshd.username, privateKey: sshd.privateKey });
  await once(client, 'ready');
  // Without it, every round trip of ssh2 takes the 40 ms of a delayed acknowledgement.
  client.setNoDelay(true);
  const forward = (resolve, reject) =>
    client.forwardOut(HOST, 0, HOST, server.config.port, (error, stream) => (error ? reject(error) : resolve(stream)));
  const streams = await Promise.all(Array.from({ length: CONNECTIONS }, () => new Promise(forward)));
  // What `pg` calls on a socket.
  const stream = () => {
    const opened = streams.pop();
    const connect = () => void setImmediate(() => opened.emit('connect'));
    const same = () => opened;
    return Object.assign(opened, { connect, setNoDelay: same, setKeepAlive: same, ref: same, unref: same });
  };
  const contestant = pooled('ssh2 + pg', { stream });
  const close = async () => {
    await contestant.close();
    client.end();
  };
  return { ...contestant, close };
}

const direct = async () => [moorline(), pooled('pg'), await pipelined(), tagged()];
const throughTunnel = async () => [await tunnelled(), await forwarded()];

const one = (open) => async () => {
  let number = 0;
  return (await open()).map(({ name, one, close }) => ({
    name,
    close,
    async operation() {
      const id = ((number += 1) % ROWS) + 1;
      const rows = await one(id);
      if (rows.length !== 1) throw new Error(`${name} read ${rows.length} rows`);
      check(name, rows[0], id);
    },
  }));
};

const thousand = (open) => async () =>
  (await open()).map(({ name, all, close }) => ({
    name,
    close,
    async operation() {
      const rows = await all();
      if (rows.length !== ROWS) throw new Error(`${name} read ${rows.length} rows`);
      for (let index = 0; index < ROWS; index++) check(name, rows[index], index + 1);
    },
  }));

const cases = [
  { name: '1 row c=1', operations: 1500, kind: one },
  { name: '1 row c=16', operations: 6000, concurrency: 16, kind: one },
  { name: '1 row c=64', operations: 6000, concurrency: 64, kind: one },
  { name: '1000 rows c=16', operations: 160, concurrency: 16, kind: thousand },
];
await bench('postgres', [
  ...cases.map(({ kind, ...rest }) => ({ ...rest, contestants: kind(direct) })),
  ...cases.map(({ kind, name, ...rest }) => ({ ...rest, name: `${name} tunnel`, contestants: kind(throughTunnel) })),
]);
server.stop();
sshd.stop();
