// What tunnels do to the process they are in: it ends by itself, at any moment, and gets no threads and no open files from them.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';

import { SSHTunnel } from 'moorline';

import { eventually } from '../support/eventually';
import { type RunningServer, startServer } from '../support/http';
import { mainEntry } from '../support/paths';
import { runScript } from '../support/script';
import { skipWithoutSshd, Sshd } from '../support/sshd';

describe('the process of a tunnel', { skip: skipWithoutSshd(), timeout: 120_000, concurrency: true }, () => {
  let sshd: Sshd;
  /** Ports of the sshd on which its answers stop after so many bytes, and the connection stays open. */
  const stalled: RunningServer[] = [];

  before(async () => {
    sshd = await Sshd.start();
    // In the greeting, in the key exchange, after it, and while logging in.
    for (const bytes of [0, 10, 500, 1500, 2000, 2500, 3000]) {
      const stall = (client: Socket) => {
        const server = connect(sshd.port, '127.0.0.1');
        let left = bytes;
        server.on('data', (chunk: Buffer) => {
          client.write(chunk.subarray(0, left));
          left -= Math.min(left, chunk.length);
        });
        client.pipe(server).on('error', () => client.destroy());
        client.on('close', () => server.destroy());
      };
      stalled.push(await startServer(createServer(stall), 'ssh'));
    }
  });
  after(async () => {
    await Promise.all(stalled.map((server) => server.close()));
    await sshd?.stop();
  });

  /** Runs a script which has `SSHTunnel`, `net` and the config of a tunnel. */
  const run = (script: string, more: object = {}) =>
    runScript(
      `const net = require('node:net');
      const { SSHTunnel, setLogger } = require(${JSON.stringify(mainEntry)});
      const config = ${JSON.stringify({ ...sshd.config, ...more })};
      setLogger({});
      async function main() { ${script} }
      main();`,
      [],
      20_000,
    );

  test('it ends by itself while one connects again', async () => {
    const { code, stdout, stderr } = await run(`
      const sockets = [];
      const relay = net.createServer((client) => {
        const server = net.connect(config.sshPort, '127.0.0.1');
        sockets.push(client, server);
        for (const one of [client, server]) one.on('error', () => undefined);
        client.pipe(server).pipe(client);
      });
      await new Promise((resolve) => relay.listen(0, '127.0.0.1', resolve));
      const tunnel = new SSHTunnel({ ...config, sshPort: relay.address().port, retryDelay: 3_600_000 });
      await tunnel.connect();
      const timer = setInterval(() => undefined, 1000);
      tunnel.on('retry', ({ attempt }) => {
        if (attempt !== 2) return;
        console.log('waits');
        clearInterval(timer);
      });
      relay.close();
      for (const socket of sockets) socket.destroy();`);
    assert.deepEqual([code, stdout], [0, 'waits\n'], stderr);
  });

  test('it ends by itself while a local port is open, and sockets are', async () => {
    const { code, stdout, stderr } = await run(
      `const tunnel = new SSHTunnel(config);
      await tunnel.connect();
      const socket = net.connect(tunnel.localPort, '127.0.0.1');
      await new Promise((resolve) => socket.once('data', resolve));
      console.log('open', tunnel.stats().channels);
      socket.unref();`,
      { localPort: 0, remoteHost: '127.0.0.1', remotePort: sshd.port },
    );
    assert.deepEqual([code, stdout], [0, 'open 1\n'], stderr);
  });

  test('process.exit() ends it anywhere in the middle of a connect()', async () => {
    const ports = JSON.stringify(stalled.map(({ port }) => port));
    const { code, signal, stderr } = await run(`
      for (const sshPort of ${ports}) new SSHTunnel({ ...config, sshPort }).connect();
      setTimeout(() => process.exit(3), 500);`);
    assert.deepEqual([code, signal], [3, null], stderr);
  });

  test('workers that are terminated in the middle of a connect() leave nothing', async () => {
    const script = `
      const { parentPort, workerData } = require('node:worker_threads');
      const { SSHTunnel } = require(workerData.mainEntry);
      const passphrase = workerData.asks ? () => new Promise(() => parentPort.postMessage('asked')) : undefined;
      new SSHTunnel({ ...workerData.config, passphrase }).connect();
      if (!passphrase) setTimeout(() => parentPort.postMessage('connects'), 100);`;
    const terminate = async (sshPort: number, asks: boolean) => {
      const config = { ...sshd.config, sshPort };
      const worker = new Worker(script, { eval: true, workerData: { mainEntry, config, asks } });
      await once(worker, 'message');
      await worker.terminate();
    };
    await Promise.all([...stalled.map(({ port }) => terminate(port, false)), terminate(sshd.port, true)]);
    for (const server of stalled) assert.ok(server.acceptedConnections() > 0);
    await eventually(() => stalled.every((server) => server.openConnections() === 0));
  });
});

test('thirty tunnels have no thread of their own, and leave no open file', { skip: skipWithoutSshd() }, async (t) => {
  const sshd = await Sshd.start();
  t.after(() => sshd.stop());
  const countOf = (directory: string) => readdirSync(`/proc/self/${directory}`).length;
  const [threads, files] = [() => countOf('task'), () => countOf('fd')];
  const tunnels = Array.from({ length: 30 }, () => new SSHTunnel({ ...sshd.config }));
  const connectAll = () => Promise.all(tunnels.map((tunnel) => tunnel.connect()));
  const disconnectAll = () => Promise.all(tunnels.map((tunnel) => tunnel.disconnect()));
  await connectAll();
  await disconnectAll();
  const before = { threads: threads(), files: files() };
  await connectAll();
  assert.ok(tunnels.every((tunnel) => tunnel.isConnectedToTunnel()));
  // Those that read key files end after a while of their own.
  assert.ok(threads() < before.threads + 15, `${threads()} threads, ${before.threads} before`);
  assert.ok(files() >= before.files + 30);
  await disconnectAll();
  await eventually(() => files() <= before.files, 20_000);
});
