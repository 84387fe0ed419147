// Connections to PostgreSQL through a tunnel: what host and port mean there.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { SSHTunnel, type TunnelConfig } from 'moorline';

import type { PostgresPoolConfig } from '../../lib/postgres/options';
import type * as Pools from '../../lib/postgres/pool';
import { load } from '../support/native';
import { freePort } from '../support/ports';
import { Postgres, skipWithoutPostgres } from '../support/postgres';
import { Sshd, skipWithoutSshd } from '../support/sshd';

const { PostgresConnectionPool } = load<typeof Pools>('postgres/pool');

describe('PostgreSQL through a tunnel', { skip: skipWithoutPostgres() || skipWithoutSshd(), timeout: 60_000 }, () => {
  let [one, two]: Postgres[] = [];
  let sshd: Sshd;

  before(async () => {
    [one, two, sshd] = await Promise.all([Postgres.start(), Postgres.start(), Sshd.start()]);
  });
  after(() => Promise.all([one!.stop(), two!.stop(), sshd.stop()]));

  /** The server that is reached: its port, or null by its socket, and its data directory. */
  const reached = async (tunnelConfig: Partial<TunnelConfig>, config: PostgresPoolConfig) => {
    const tunnel = new SSHTunnel({ ...sshd.config, ...tunnelConfig });
    await tunnel.connect();
    const { user, password, database } = one!.config;
    const port = config.port === 0 ? tunnel.localPort : config.port;
    // The class of the public typings is that of lib.
    const through = { tunnel: tunnel as never };
    const pool = new PostgresConnectionPool({
      user,
      password,
      database,
      connectionTimeoutMillis: 10_000,
      ...config,
      port,
      ...through,
    });
    try {
      const text = "SELECT inet_server_port() AS port, current_setting('data_directory') AS data";
      const { rows } = await pool.query(text);
      assert.equal(tunnel.stats().channels, 1);
      return { ...rows[0], name: pool.name };
    } finally {
      await pool.end(1000);
      await tunnel.disconnect();
    }
  };
  const at = ({ port, data }: Postgres, name = `localhost:${port}`) => ({ port, data, name: `${name}/postgres` });
  const bySocket = ({ data }: Postgres, name: string) => ({ port: null, data, name: `${name}/postgres` });
  const socketOf = ({ directory, port }: Postgres) => `${directory}/.s.PGSQL.${port}`;

  test('host and port left out mean the remote end', async () => {
    assert.deepEqual(await reached({ remotePort: one!.port }, {}), at(one!));
    const named = { remoteHost: '127.0.0.1', remotePort: two!.port };
    assert.deepEqual(await reached(named, {}), at(two!, `127.0.0.1:${two!.port}`));
  });

  test('host and port left out mean the remote socket', async () => {
    const path = socketOf(two!);
    assert.deepEqual(await reached({ remoteSocketPath: path }, {}), bySocket(two!, path));
  });

  test('loopback with the local port means the remote end', async () => {
    const localPort = await freePort();
    const fixed = { remotePort: one!.port, localPort };
    for (const host of ['localhost', '127.0.0.1', undefined]) {
      assert.deepEqual(await reached(fixed, { host, port: localPort }), at(one!));
    }
    // Here the port that was picked.
    const picked = { remotePort: two!.port, localPort: 0 };
    assert.deepEqual(await reached(picked, { host: 'localhost', port: 0 }), at(two!));
    const path = socketOf(one!);
    const socket = { remoteSocketPath: path, localPort: await freePort() };
    assert.deepEqual(await reached(socket, { host: 'localhost', port: socket.localPort }), bySocket(one!, path));
  });

  test('what equals the remote end means it', async () => {
    const end = { remoteHost: 'localhost', remotePort: one!.port };
    assert.deepEqual(await reached(end, { host: 'localhost', port: one!.port }), at(one!));
  });

  test('any other pair is dialled as the SSH server sees it', async () => {
    const end = { remotePort: one!.port };
    const other = { host: '127.0.0.1', port: two!.port };
    assert.deepEqual(await reached(end, other), at(two!, `127.0.0.1:${two!.port}`));
    // Nothing is at the end of this one.
    assert.deepEqual(await reached({}, other), at(two!, `127.0.0.1:${two!.port}`));
  });

  test('a directory as host is a socket of the SSH server', async () => {
    const host = two!.directory;
    const expected = bySocket(two!, `${host}:${two!.port}`);
    assert.deepEqual(await reached({ remotePort: one!.port }, { host, port: two!.port }), expected);
  });

  test('several hosts are tried as the SSH server sees them', async () => {
    const closed = await freePort();
    const config = { host: 'localhost,localhost', port: `${closed},${two!.port}` };
    const { port, data } = await reached({ remotePort: one!.port }, config);
    assert.deepEqual({ port, data }, { port: two!.port, data: two!.data });
  });
});
