// Every code block of document 0, compiled as its reader would compile it, and run against real things.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, mock, test } from 'node:test';

import { resetHealthMonitor, resetNixtlaClient, resetTursoPool, signWebhookPayload, TursoPool } from 'moorline';

import { NixtlaServer } from '../nixtla/server/server';
import { compile, type Snippet } from './compile';
import { document0 } from './edits';
import { codeBlocks, specificationDocument } from './extract';

const directory = mkdtempSync(join(tmpdir(), 'moorline-document-0-'));
const databaseUrl = `file:${join(directory, 'metrics.db')}`;

let service: NixtlaServer;
let snippets: Map<number, Snippet>;

/** What the block printed, and what it exposes. */
async function runBlock(number: number) {
  const snippet = snippets.get(number);
  assert.ok(snippet);
  assert.equal(snippet.diagnostics, '', snippet.source);
  const logMock = mock.method(console, 'log', () => undefined);
  const errorMock = mock.method(console, 'error', () => undefined);
  try {
    const exposed = await snippet.load();
    return { exposed, printed: logMock.mock.calls.map((call) => String(call.arguments)) };
  } finally {
    logMock.mock.restore();
    errorMock.mock.restore();
  }
}

before(async () => {
  service = await NixtlaServer.start();
  process.env['NIXTLA_API_KEY'] = service.key;
  process.env['WEBHOOK_SECRET'] = 'test-secret';
  const blocks = codeBlocks(specificationDocument(0)).filter((block) => block.language === 'typescript');
  snippets = compile(0, blocks, document0({ databaseUrl, nixtlaUrl: service.url }));

  const pool = new TursoPool({ url: databaseUrl });
  await pool.withConnection(async (client) => {
    await client.execute('CREATE TABLE metrics (org_id TEXT, timestamp TEXT, value REAL)');
    for (let hour = 0; hour < 48; hour++) {
      const timestamp = new Date(Date.UTC(2024, 0, 1, hour)).toISOString();
      await client.execute('INSERT INTO metrics VALUES (?, ?, ?)', ['org-1', timestamp, 100 + (hour % 24)]);
    }
  });
  await pool.drain();
});

after(async () => {
  await service.close();
  resetHealthMonitor();
  resetNixtlaClient();
  await resetTursoPool();
  rmSync(directory, { recursive: true, force: true });
});

describe('document 0: external connections', () => {
  test('1. TursoPool - Database Connection Pooling', async () => {
    const { exposed } = await runBlock(1);
    assert.equal(exposed['healthy'], true);
    assert.deepEqual(exposed['pool'].getStats(), { total: 0, inUse: 0, available: 0, waiting: 0 });
    await assert.rejects(exposed['client'].execute('SELECT 1'), { kind: 'closed' });
  });

  test('2. NixtlaClient - Resilient API Client', async () => {
    const { exposed, printed } = await runBlock(2);
    const { predictions } = exposed['result'];
    assert.equal(predictions.length, 24);
    assert.equal(predictions[0].value, 105);
    assert.equal(new Date(predictions[0].timestamp).toISOString(), '2024-01-01T02:00:00.000Z');
    assert.equal(Object.keys(predictions[0].intervals).length, 2);
    assert.deepEqual(printed, ['Circuit breaker: closed, failures: 0']);
    assert.equal(exposed['healthy'], true);
  });

  test('3. WebhookVerifier - Signature Verification', async () => {
    const { exposed } = await runBlock(3);
    const body = '{"event":"paid"}';
    const replies: unknown[] = [];
    const response = {
      status: (code: number) => (replies.push(code), response),
      json: (reply: unknown) => replies.push(reply),
    };
    const send = (signature: string | undefined) =>
      exposed['handle']({ headers: { 'x-webhook-signature': signature } }, body, response);

    const accepted = await send(signWebhookPayload(body, 'test-secret'));
    assert.equal(accepted.result.valid, true);
    assert.match(accepted.signature, /^t=\d+,v1=[a-f0-9]+$/);
    assert.equal(accepted.isValid, true);
    assert.deepEqual(replies, []);

    const errorMock = mock.method(console, 'error', () => undefined);
    await send(signWebhookPayload(body, 'another-secret'));
    await send(undefined);
    errorMock.mock.restore();
    const refused = [401, { error: 'Invalid signature' }];
    assert.deepEqual(replies, [...refused, ...refused]);
    assert.match(String(errorMock.mock.calls[0]?.arguments), /^Webhook verification failed: Signature mismatch$/);
  });

  test('4. HealthMonitor - Connection Health Tracking', async () => {
    const { exposed, printed } = await runBlock(4);
    assert.equal(exposed['report'].status, 'healthy');
    assert.deepEqual(printed.slice(0, 2), ['Overall status: healthy', 'Healthy: 3/3']);
    assert.match(printed[2] ?? '', /^Database: healthy \([\d.e-]+ms\)$/);
    assert.equal(printed[3], 'Success rate: 100%');
    assert.match(printed[4] ?? '', /^Avg latency: [\d.e-]+ms$/);
    assert.equal(exposed['stats'].totalChecks, 2);
    await exposed['pool'].drain();
  });

  test('5. Usage in Pipeline', async () => {
    const { exposed } = await runBlock(5);
    assert.equal(exposed['metrics'].rows.length, 48);
    assert.equal(exposed['forecast'].predictions.length, 24);
    const report = await exposed['monitor'].checkAll();
    assert.deepEqual([report.status, report.summary.healthy], ['healthy', 2]);
  });
});
