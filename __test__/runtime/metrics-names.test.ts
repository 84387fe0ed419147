// Names in metricsText: a reader of the format gets every character back, and names that are too long are cut.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { CircuitBreaker, ConnectionPool, HealthMonitor, HTTPConnection, metricsText, Policy } from 'moorline';

import { closeAfter } from '../support/connections';
import { parse } from '../support/exposition';
import { type RunningServer, serve } from '../support/http';

/** Metrics of each kind of object, by the label that holds its name. */
const METRICS = {
  connection: ['moorline_connection_requests_total', 'moorline_connections'],
  pool: ['moorline_pool_acquired_total', 'moorline_pool_connections'],
  check: ['moorline_health_check_runs_total', 'moorline_health_checks'],
  policy: ['moorline_policy_calls_total'],
  breaker: ['moorline_circuit_breaker_successes_total', 'moorline_circuit_breaker_state'],
};

let server: RunningServer;
before(async () => {
  server = await serve((_, response) => response.end());
});
after(() => server.close());

describe('a name', () => {
  const names: Record<string, [given: string, shown?: string]> = {
    'with quotes, line feeds and backslashes': ['a "quoted"\\name\\n\nof {three="lines"}\n'],
    'of other scripts, with emoji and control characters': ['Anlegestelle Övelgönne \u{1F6A2} 港\r\t\u0001\u2028#'],
    'of 200 characters': ['\u{1F6A2}'.repeat(200)],
    'that is longer': ['\u{1F6A2}'.repeat(201), `${'\u{1F6A2}'.repeat(199)}…`],
    'of 900 000 characters': ['"\\\n'.repeat(300_000), `${'"\\\n'.repeat(300).slice(0, 199)}…`],
  };
  for (const [what, [given, expected = given]] of Object.entries(names)) {
    test(`${what} is shown in every family`, async (t) => {
      const connection = closeAfter(t, new HTTPConnection({ name: given, url: server.url }));
      await connection.connect();
      await connection.request({});
      const pool = new ConnectionPool({}, () => ({}), { name: given, url: server.url });
      t.after(() => pool.stop());
      await pool.release((await pool.acquire())!);
      const monitor = new HealthMonitor();
      t.after(() => monitor.stop());
      monitor.register(given, () => true);
      await monitor.checkAll();
      const policy = new Policy({ name: given });
      await policy.run(() => 1);
      const breaker = new CircuitBreaker(given);
      await breaker.run(() => 1);

      const page = metricsText();
      assert.ok(page.length < 300_000, `${page.length} characters`);
      const families = parse(page);
      for (const [label, metrics] of Object.entries(METRICS)) {
        for (const metric of metrics) {
          const shown = families.get(metric)!.samples.filter(({ labels }) => labels[label] === expected);
          assert.ok(shown.length > 0, metric);
          assert.ok(shown.reduce((sum, { value }) => sum + value, 0) >= 1, metric);
        }
      }
    });
  }
});
