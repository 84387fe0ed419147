// A file of tests that never ends: it waits for a process that it started.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, test } from 'node:test';

import { freePort } from '../support/ports';

test('what comes before it passes', () => {});

describe('a suite', () => {
  test('waits for an answer', async () => {
    const port = await freePort();
    const silent = `require('node:net').createServer().listen(${port}, '127.0.0.1', () => console.log('listens'))`;
    const server = spawn(process.execPath, ['-e', silent]);
    await once(server.stdout, 'data');
    connect(port, '127.0.0.1');
    console.log(`port ${port}, process ${server.pid}`);
    await new Promise((resolve) => setTimeout(resolve, 120_000));
  });
});
