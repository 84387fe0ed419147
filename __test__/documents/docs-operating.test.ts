// The code of docs/logging.md, docs/metrics.md and docs/testing.md compiles under `tsc --strict` and does what its page says.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import type { Snippet } from '../specification/compile';
import { compilePage } from '../specification/page';
import { parse } from '../support/exposition';
import { peersMissing } from '../support/peers';
import { root, testsDirectory } from '../support/paths';

const LOCAL_SETTING = 'host, port, path or secret';

describe('docs/logging.md', { skip: peersMissing() }, () => {
  /** The page's blocks, from where its two loggers can be found. */
  function compileBlocks(): Snippet[] {
    const modules = join(root, 'target', 'specification', `docs-logging-md-${process.pid}`, 'node_modules');
    mkdirSync(modules, { recursive: true });
    for (const name of ['pino', 'winston']) {
      symlinkSync(join(testsDirectory, 'peers', 'node_modules', name), join(modules, name), 'dir');
    }
    return compilePage('docs/logging.md', [{}, {}, {}]);
  }

  /** What a process writes that has run `script`, and then makes a connection that is warned of. */
  function runAndReadLogs(script: string | undefined, level = '') {
    const code = `
      ${script === undefined ? '' : `await import(${JSON.stringify(script)});`}
      const { HTTPConnection } = await import('moorline');
      new HTTPConnection({ name: 'unchecked', url: 'https://127.0.0.1', securityLevel: 'none' });`;
    const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '--eval', code], {
      cwd: root,
      encoding: 'utf8',
      timeout: 60_000,
      env: { ...process.env, LOG_LEVEL: level },
    });
    assert.equal(status, 0, stderr);
    const lines = (text: string) => text.split('\n').filter((line) => line.startsWith('{'));
    return [stdout, stderr].map((text) => lines(text).map((line) => JSON.parse(line))) as [any[], any[]];
  }

  const event = 'connection.certificates-unchecked';

  test('its loggers write what it says', () => {
    const [whole, mapped, winston] = compileBlocks();
    const [[record], none] = runAndReadLogs(whole!.script);
    assert.deepEqual([record.event, record.level, record.data.connection], [event, 'warn', 'unchecked']);
    assert.ok(record.time > 0 && record.timestamp && record.correlationId);
    assert.deepEqual(none, [], 'nothing on stderr');
    const [[line]] = runAndReadLogs(mapped!.script, 'off');
    assert.deepEqual([line.msg, line.level, line.connection, line.component], [event, 40, 'unchecked', 'moorline']);
    const [[entry]] = runAndReadLogs(winston!.script);
    assert.deepEqual([entry.message, entry.level, entry.connection], [event, 'warn', 'unchecked']);
  });

  test('without a logger LOG_LEVEL decides', () => {
    for (const [level, count] of [
      ['', 1],
      ['debug', 1],
      ['error', 0],
      ['off', 0],
      ['loud', 1],
    ] as const) {
      const [stdout, stderr] = runAndReadLogs(undefined, level);
      assert.deepEqual([stdout.length, stderr.length], [0, count], `LOG_LEVEL=${level}`);
    }
  });
});

describe('docs/metrics.md', () => {
  test('its code does what it says', async () => {
    const port = {
      reason: LOCAL_SETTING,
      from: "server.listen(9464, '127.0.0.1')",
      to: "server.listen(0, '127.0.0.1')",
    } as const;
    const [snippet, own] = compilePage('docs/metrics.md', [{ replace: [port], exposes: ['server'] }, {}]);
    await own!.load();
    const { server } = await snippet!.load();
    if (!server.listening) await new Promise((resolve) => server.once('listening', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const answer = await fetch(`${url}/metrics`);
    assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
    const page = await answer.text();
    parse(page);
    for (const line of ['orders_total{country="NO"} 1', 'orders_waiting 3', 'packing_seconds_count 1']) {
      assert.ok(page.includes(`${line}\n`), line);
    }
    assert.equal((await fetch(`${url}/other`)).status, 404);
    server.closeAllConnections();
    server.close();
  });
});

describe('docs/testing.md', () => {
  test('its code does what it says', async () => {
    const [failing, fake] = compilePage('docs/testing.md', [
      { exposes: ['answer', 'errorCount', 'asked'] },
      { exposes: ['attempts', 'refused', 'works'] },
    ]);
    const { answer, errorCount, asked } = await failing!.load();
    assert.deepEqual([answer.status, errorCount, asked], [200, 0, 3]);
    const { attempts, refused, works } = await fake!.load();
    assert.deepEqual([attempts, refused, works], [2, 'circuit-open', 1]);
  });
});
