// In a `vm` context that has the language and little of Node: whatever is missing there, no timer and no answer of the addon
// ends the process for it.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { runScript } from '../support/script';

/** What the package uses beside the language; `process` and `require` are needed to load it. */
const GLOBALS = [
  'AbortController',
  'AbortSignal',
  'Buffer',
  'DOMException',
  'Event',
  'EventTarget',
  'Headers',
  'ReadableStream',
  'TextDecoder',
  'URL',
  'URLSearchParams',
  'clearInterval',
  'clearImmediate',
  'performance',
  'queueMicrotask',
  'setImmediate',
  'structuredClone',
];

/** Uses every service with a time limit that passes, and a server that goes away; prints what became of it. */
const SCRIPT = `
  require('tsx/cjs');
  const http = require('node:http');
  const { makeRealm } = require('./__test__/support/realm.ts');
  const missingGlobals = JSON.parse(process.argv.at(-1));
  const realm = makeRealm(missingGlobals);
  const moorline = realm.load('entries/index');
  const never = () => new Promise(() => undefined);
  const outcomeOf = (promise) => promise.then((value) => value, (error) => error.name + ' ' + (error.code ?? ''));
  const server = http.createServer((request, response) => {
    if (request.url.startsWith('/json')) return response.setHeader('content-type', 'application/json').end('{"a":1}');
    if (request.url === '/latin') return response.setHeader('content-type', 'text/plain; charset=iso-8859-1').end(Buffer.from([228]));
    if (request.url === '/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\\n\\n');
      return setTimeout(() => response.destroy(), 20);
    }
  }).listen(0, '127.0.0.1', async () => {
    const url = 'http://127.0.0.1:' + server.address().port;
    const results = {};

    const health = new moorline.HealthMonitor({ timeoutMs: 10, intervalMs: 20 });
    let aborted;
    health.register('hangs', ({ signal }) => (signal.onabort = () => (aborted ??= signal.reason.name), never()));
    health.start();
    results.health = (await health.check('hangs')).status + ' ' + aborted;
    health.register('replaced', never, { timeoutMs: 1000 });
    const pending = health.check('replaced');
    health.register('replaced', () => true);
    results.replaced = (await pending).status;
    while (health.getStats('hangs').totalChecks < 3) await new Promise((resolve) => setTimeout(resolve, 5));
    health.stop();

    const policy = new moorline.Policy({ attemptTimeoutMs: 10, retry: { maxRetries: 1, baseDelayMs: 1 }, rateLimit: { perSecond: 100 } });
    let reason;
    results.policy = await outcomeOf(policy.run(({ signal }) => (signal.onabort = () => (reason = signal.reason.name), never())));
    results.reason = reason;
    results.options = policy.options().attemptTimeoutMs;
    results.breaker = await outcomeOf(new moorline.CircuitBreaker('b').run(() => 1));

    const verifier = new moorline.WebhookVerifier({ secret: 's', replayStore: { remember: never } });
    const request = { method: 'POST', url: '/', headers: { 'x-webhook-signature': verifier.sign('b') }, body: 'b' };
    results.webhook = (await moorline.receiveWebhook(verifier, request, { replayStoreTimeoutMs: 10 })).status;

    const connection = new moorline.HTTPConnection({ url, retryCount: 0, monitoring: false });
    results.json = (await connection.request({ url: '/json', query: { a: 1 } })).data.a;
    results.latin = await (await connection.request({ url: '/latin' })).text();
    results.late = await outcomeOf(connection.request({ url: '/never', timeoutMs: 50 }));
    const streamed = await connection.request({ url: '/json', stream: true });
    results.streamed = (await streamed.stream.toReadableStream().getReader().read()).value.length;
    await connection.disconnect();

    const events = new moorline.SSEConnection({ url: url + '/events', retryDelay: 10, monitoring: false });
    let reconnected = 0;
    events.onEvent(({ eventType }) => (reconnected += eventType === 'reconnected'));
    await events.connect();
    while (reconnected < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    await events.disconnect();

    const socket = new moorline.WebSocketConnection({ url: url.replace('http', 'ws') + '/never', timeout: 20, monitoring: false, autoReconnect: false });
    results.socket = await socket.connect();
    await socket.disconnect();

    const pool = new moorline.TursoPool({ url: ':memory:' });
    results.rows = (await pool.execute("SELECT x'00ff' AS a")).rows.length;
    await pool.drain();

    server.close();
    server.closeAllConnections();
    console.log(JSON.stringify(results));
  });`;

const EXPECTED = {
  health: 'unhealthy TimeoutError',
  replaced: 'healthy',
  policy: 'MoorlineError ETIMEDOUT',
  reason: 'TimeoutError',
  options: 10,
  breaker: 1,
  webhook: 503,
  json: 1,
  latin: 'ä',
  late: 'MoorlineError ETIMEDOUT',
  streamed: 7,
  socket: false,
  rows: 1,
};

async function assertWorksWithout(missingGlobals: readonly string[]): Promise<void> {
  const script = SCRIPT.replace('process.argv.at(-1)', () => JSON.stringify(JSON.stringify(missingGlobals)));
  const { code, signal, stdout, stderr } = await runScript(script);
  assert.deepEqual([code, signal], [0, null], stderr);
  assert.deepEqual(JSON.parse(stdout), EXPECTED, stderr);
}

describe('a context', () => {
  test('with all that Node has', () => assertWorksWithout([]));
  for (const name of ['DOMException', 'AbortController', 'performance', 'structuredClone']) {
    test(`without ${name}`, () => assertWorksWithout([name]));
  }
  test('with little more than timers', () => assertWorksWithout(GLOBALS));
  test('without timers', () => assertWorksWithout(['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval']));
});
