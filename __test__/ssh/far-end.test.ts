// Everything that dials, to servers that only the far end can reach: in plain text and over TLS, through a jump host and none.
import assert from 'node:assert/strict';
import { readlinkSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import {
  HTTPConnection,
  setLogger,
  SSEConnection,
  SSHTunnel,
  type TunnelConfig,
  TursoPool,
  WebSocketConnection,
} from 'moorline';

import { closeAfter } from '../support/connections';
import { peersMissing } from '../support/peers';
import { skipWithoutSqld } from '../support/servers';
import { skipWithoutSshd } from '../support/sshd';
import { FarEnd, type FarServers } from './far-end';

const skip = skipWithoutSshd() || peersMissing() || skipWithoutSqld();
const quiet = { monitoring: false, auditLogging: false, autoRetry: false } as const;

describe('what only the far end can reach', { skip, timeout: 120_000 }, () => {
  let farEnd: FarEnd;
  let far: FarServers;

  before(async () => {
    setLogger({});
    farEnd = await FarEnd.start();
    far = farEnd.servers;
    // It is read when the first connection is made.
    process.env['NODE_EXTRA_CA_CERTS'] = far.authority;
  });
  after(async () => {
    setLogger(undefined);
    await farEnd?.stop();
  });

  test('nothing leads there but its SSH server', async (t) => {
    if (!farEnd.isApart) return t.diagnostic('no network namespace may be made here: the far end is on loopback');
    t.diagnostic('the far end is in a network namespace of its own');
    assert.notEqual(far.namespace, readlinkSync('/proc/self/ns/net'));
    assert.deepEqual(far.interfaces, ['lo']);
    // Somebody else may have the port here.
    const direct = closeAfter(t, new HTTPConnection({ ...quiet, url: `http://127.0.0.1:${far.web.plain}` }));
    const answer = await direct.request({ timeoutMs: 2000 }).then((response) => response.text(), String);
    assert.notEqual(answer, far.answer);
    const second = new SSHTunnel({ ...far.second, connectTimeoutMs: 2000 });
    await assert.rejects(second.connect());
  });

  const ways: Record<string, () => TunnelConfig> = {
    'through no jump host': () => far.sshd,
    'through one jump host': () => ({ ...far.second, jumpHosts: [far.sshd] }),
  };
  for (const [way, configOf] of Object.entries(ways)) {
    for (const [over, kind, suffix] of [
      ['in plain text', 'plain', ''],
      ['over TLS', 'secure', 's'],
    ] as const) {
      test(`HTTP, a WebSocket, events and libSQL ${over}, ${way}`, async (t) => {
        const tunnel = new SSHTunnel(configOf());
        t.after(() => tunnel.disconnect());
        const [web, sqld] = [`localhost:${far.web[kind]}`, `localhost:${far.sqld[kind]}`];

        const http = closeAfter(t, new HTTPConnection({ ...quiet, url: `http${suffix}://${web}`, tunnel }));
        assert.equal((await http.request({})).text(), far.answer);

        const socket = closeAfter(t, new WebSocketConnection({ ...quiet, url: `ws${suffix}://${web}`, tunnel }));
        assert.equal(await socket.connect(), true, socket.getStatus().lastError);
        await socket.send({ through: way });
        assert.deepEqual(await socket.receive(), { through: way });

        const events = closeAfter(t, new SSEConnection({ ...quiet, url: `http${suffix}://${web}`, tunnel }));
        assert.equal(await events.connect(), true, events.getStatus().lastError);
        assert.equal((await events.receive())?.data, far.answer);

        const pool = new TursoPool({ url: `http${suffix}://${sqld}`, tunnel, poolSize: 3 });
        const answers = await Promise.all([1, 2, 3].map((n) => pool.execute('SELECT ? AS n', [n])));
        assert.deepEqual(
          answers.map(({ rows: [row] }) => row!['n']),
          [1, 2, 3],
        );
        await pool.drain();
      });
    }
  }

  test('with a jump host, only the second server opened the channels', async () => {
    const [first, second] = [await farEnd.log('sshd'), await farEnd.log('second')];
    const target = (port: number) => `target localhost port ${port}`;
    assert.ok(second.includes(target(far.web.plain)) && second.includes(target(far.sqld.secure)));
    assert.ok(first.includes(`target 127.0.0.1 port ${far.second.sshPort}`));
    // Those of the tests without one.
    assert.equal(first.split(target(far.sqld.plain)).length, second.split(target(far.sqld.plain)).length);
  });

  test('a server that has no port, by its Unix socket', async (t) => {
    const tunnel = new SSHTunnel({ ...far.sshd, remoteSocketPath: far.socketPath, localPort: 0 });
    t.after(() => tunnel.disconnect());
    await tunnel.connect();
    const url = `http://127.0.0.1:${tunnel.localPort}`;
    const connections = Array.from({ length: 5 }, () => closeAfter(t, new HTTPConnection({ ...quiet, url })));
    const answers = await Promise.all(connections.map(async (one) => (await one.request({})).text()));
    assert.deepEqual(answers, Array(5).fill(far.answer));
    assert.equal(tunnel.stats().channels, 5);
    assert.equal(tunnel.options().remoteSocketPath, far.socketPath);
  });
});
