// What outlives what: tunnels, their holders, threads, and the way through other servers.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';

import { HTTPConnection, SSHTunnel, type TunnelConfig } from 'moorline';

import { eventually } from '../support/eventually';
import { type RunningServer, serve, startServer } from '../support/http';
import { mainEntry } from '../support/paths';
import { skipWithoutSshd, Sshd } from '../support/sshd';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

describe('lifetimes of tunnels', { skip: skipWithoutSshd(), timeout: 120_000 }, () => {
  let sshd: Sshd;
  let http: RunningServer;

  before(async () => {
    sshd = await Sshd.start();
    http = await serve((_, response) => response.end('reached'));
  });
  after(async () => {
    await http?.close();
    await sshd?.stop();
  });

  test('one that is connected stays, though only a local port leads to it', async () => {
    const echo = await startServer(
      createServer((socket) => socket.pipe(socket)),
      'tcp',
    );
    const open = async () => {
      const tunnel = new SSHTunnel({ ...sshd.config, remoteHost: '127.0.0.1', remotePort: echo.port, localPort: 0 });
      const first = assert.rejects(tunnel.connect(), { kind: 'closed' });
      const ended = tunnel.disconnect();
      await tunnel.connect();
      await Promise.all([first, ended]);
      return [new WeakRef(tunnel), tunnel.localPort!] as const;
    };
    const [reference, port] = await open();
    for (let turn = 0; turn < 10; turn++) {
      await new Promise(setImmediate);
      collect();
    }
    const socket = connect(port, '127.0.0.1');
    socket.end('still there');
    assert.equal(await text(socket), 'still there');
    await reference.deref()!.disconnect();
    await echo.close();
  });

  test('one that was never connected, or is disconnected, goes with its last reference', async () => {
    let collected = 0;
    const registry = new FinalizationRegistry(() => (collected += 1));
    const use = async (isConnected: boolean) => {
      const tunnel: SSHTunnel = new SSHTunnel({ ...sshd.config, passphrase: () => tunnel.options().sshHost });
      tunnel.on('open', () => tunnel.stats());
      if (isConnected) {
        await tunnel.connect();
        await tunnel.disconnect();
      }
      registry.register(tunnel, undefined);
    };
    await use(false);
    await use(true);
    await eventually(() => {
      collect();
      return collected === 2;
    }, 20_000);
  });

  test('what goes through one holds it, with the functions that give its credentials', async (t) => {
    let asked = 0;
    const make = () => {
      const passphrase = () => `asked ${(asked += 1)}`;
      return new HTTPConnection({ url: http.url, tunnel: new SSHTunnel({ ...sshd.config, passphrase }) });
    };
    const connection = make();
    t.after(() => connection.disconnect());
    for (let turn = 0; turn < 10; turn++) {
      await new Promise(setImmediate);
      collect();
    }
    assert.equal((await connection.request({})).text(), 'reached');
    assert.equal(asked, 1);
  });

  test('each thread has a shared one of its own, which ends with it', async () => {
    const script = `
      const { parentPort, workerData } = require('node:worker_threads');
      const { SSHTunnel } = require(workerData.mainEntry);
      let message;
      try { SSHTunnel.getInstance(); } catch (error) { message = error.message; }
      SSHTunnel.initializeInstance(workerData.config).connect().then(() => parentPort.postMessage(message));
      setInterval(() => undefined, 1000);`;
    const tunnel = SSHTunnel.initializeInstance(sshd.config);
    const before = sshd.sessionProcesses().length;
    const worker = new Worker(script, { eval: true, workerData: { mainEntry, config: sshd.config } });
    const [message] = (await once(worker, 'message')) as [string];
    assert.match(message, /^SSHTunnel not initialized/);
    assert.ok(sshd.sessionProcesses().length > before);
    await worker.terminate();
    await eventually(() => sshd.sessionProcesses().length <= before, 10_000);
    assert.equal(SSHTunnel.getInstance(), tunnel);
    assert.equal(tunnel.isConnectedToTunnel(), false);
    SSHTunnel.resetInstance();
  });

  test('a jump host is gone through, with a key and a host key of its own', async (t) => {
    const jump = await Sshd.start('LogLevel DEBUG1');
    try {
      const through: TunnelConfig = { ...sshd.config, jumpHosts: [jump.config] };
      const tunnel = new SSHTunnel(through);
      const connection = new HTTPConnection({ url: http.url, tunnel });
      t.after(() => connection.disconnect());
      assert.equal((await connection.request({})).text(), 'reached');
      assert.match(jump.log, new RegExp(`target 127\\.0\\.0\\.1 port ${sshd.port}`));
      assert.doesNotMatch(jump.log, new RegExp(`target \\S+ port ${http.port}`));
      await tunnel.disconnect();
      const other = `SHA256:${'A'.repeat(43)}`;
      const misled = new SSHTunnel({ ...through, jumpHosts: [{ ...jump.config, hostKeyFingerprint: other }] });
      await assert.rejects(misled.connect(), { code: 'ERR_SSH_HOST_KEY_MISMATCH' });
    } finally {
      await jump.stop();
    }
  });
});
