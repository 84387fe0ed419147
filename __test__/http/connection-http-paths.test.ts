// Requests of an HTTPConnection that need nothing else than to be sent: where they go, and how they are counted.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { type ConnectionEvent, HTTPConnection, metricsText, setLogger } from 'moorline';

import { closeAfter } from '../support/connections';
import { type RunningServer, serve } from '../support/http';

let server: RunningServer;
before(async () => {
  setLogger({});
  server = await serve((request, response) => {
    if (request.url === '/missing') return response.writeHead(404).end('no');
    response.setHeader('x-url', request.url ?? '');
    response.end(JSON.stringify(request.headers['x-a'] ?? null));
  });
});
after(() => {
  setLogger(undefined);
  return server.close();
});

const PATHS = [
  '/a',
  'a',
  'a/b/',
  '/',
  '/a.b/c-d_e~f',
  '/a?x=1&y=%20',
  'a?x=/?:@',
  '/a;b=c,d',
  '//a',
  '?x=1',
  '/a?',
  '/a b',
  '/ä',
  "/a'b",
];

test('a plain path leads where the URL standard says', async (t) => {
  for (const base of ['', '/', '/root', '/root/', '/ro%20ot', '/root?k=v']) {
    const connection = closeAfter(t, new HTTPConnection({ url: `${server.url}${base}`, monitoring: false }));
    for (const path of PATHS) {
      const [beforeQuery = '', query] = path.split(/\?(.*)/s);
      const url = new URL(`${server.url}${base}`);
      if (beforeQuery) url.pathname = `${url.pathname.replace(/\/$/, '')}/${beforeQuery.replace(/^\//, '')}`;
      if (query) url.search = url.search ? `${url.search}&${query}` : query;
      const response = await connection.request({ url: path });
      assert.equal(response.headers['x-url'], `${url.pathname}${url.search}`, `${base} ${path}`);
      assert.equal(response.url, url.href);
    }
    for (const path of ['/../up', '..', '/a/../../up', '/%2e%2e/up', 'a/..%2f..%2fup']) {
      const outside = connection.request({ url: path });
      if (base.startsWith('/ro')) await assert.rejects(outside, { code: 'ERR_INVALID_ARG_VALUE' }, `${base} ${path}`);
      else await outside;
    }
  }
});

test('a request overrides the headers of its connection', async (t) => {
  const connection = closeAfter(t, new HTTPConnection({ url: server.url, customHeaders: { 'X-A': 'common' } }));
  assert.equal((await connection.request({ url: '/a' })).json(), 'common');
  assert.equal((await connection.request({ url: '/a', headers: { 'x-a': 'own' } })).json(), 'own');
});

test('every request is counted once, with its status, whether or not anybody listens', async (t) => {
  const connection = closeAfter(t, new HTTPConnection({ url: server.url, name: 'counted-requests' }));
  for (const url of ['/a', '/missing']) await connection.request({ url });
  const events: ConnectionEvent[] = [];
  connection.onEvent((event) => void events.push(event));
  for (const url of ['/a', '/missing']) await connection.request({ url });
  const metrics = events.filter(({ eventType }) => eventType === 'metrics');
  assert.equal(metrics.length, 2);
  const { requestCount, errorCount, averageResponseTime } = connection.getMetrics();
  assert.deepEqual([requestCount, errorCount], [4, 0]);
  assert.ok(averageResponseTime > 0);
  for (const status of [200, 404]) {
    const row = `{connection="counted-requests",type="http",outcome="success",status="${status}"} 2`;
    assert.ok(metricsText().includes(`moorline_connection_requests_total${row}`));
    assert.ok(metricsText().includes(`moorline_connection_attempts_total${row}`));
  }
});

test('failures of first attempts open the circuit breaker, and a disconnect ends a call', async (t) => {
  let hits = 0;
  const failing = await serve((_, response) => ((hits += 1), response.writeHead(503).end()));
  t.after(() => failing.close());
  const connection = closeAfter(
    t,
    new HTTPConnection({ url: failing.url, monitoring: false, retryCount: 0, circuitBreakerThreshold: 2 }),
  );
  assert.deepEqual([(await connection.request({})).status, (await connection.request({})).status], [503, 503]);
  await assert.rejects(connection.request({}), { kind: 'circuit-open' });
  assert.equal(hits, 2);
  const silent = await serve(() => undefined);
  t.after(() => silent.close());
  const cut = closeAfter(t, new HTTPConnection({ url: silent.url, monitoring: false }));
  const [failed] = await Promise.allSettled([cut.request({}), cut.disconnect()]);
  assert.equal(failed.status, 'rejected');
  assert.equal(failed.reason.kind, 'closed');
});
