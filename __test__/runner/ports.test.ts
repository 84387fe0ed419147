// The ports that tests use: no two tests get the same one.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';

import { socketServer } from '../support/connections';
import { peersMissing } from '../support/peers';
import { listen } from '../support/ports';

/** Runs in a process of its own: sends the ports that it got, and keeps them open. */
async function holdPorts(): Promise<void> {
  for (let n = 0; n < 3; n++) process.send!(await listen(createServer()));
}

if (process.argv[2] === 'take') {
  void holdPorts();
} else {
  test('a port in use is skipped', { skip: peersMissing(), timeout: 30_000 }, async (t) => {
    const own = createServer();
    const foreign = createServer();
    const port = await listen(own);
    foreign.listen(port + 1, '127.0.0.1');
    await once(foreign, 'listening');
    const server = await socketServer();
    t.after(() => Promise.all([server.close(), own.close(), foreign.close()]));
    assert.equal(server.port, port + 2);
  });

  test('no two processes are given ports of the same block', { timeout: 60_000 }, async (t) => {
    const own = createServer();
    t.after(() => own.close());
    const blocks = new Set([Math.floor((await listen(own)) / 100)]);
    const children = [1, 2, 3].map(() => fork(__filename, ['take'], { execArgv: ['--import', 'tsx'] }));
    t.after(() => children.forEach((child) => child.kill('SIGKILL')));
    const ports = await Promise.all(children.map(async (child) => (await once(child, 'message'))[0] as number));
    for (const port of ports) blocks.add(Math.floor(port / 100));
    assert.equal(blocks.size, 4, ports.join());
  });
}
