// The programs of examples/, each compiled as an ES module and as CommonJS by a strict compiler, and run as its head says:
// against servers of this test, in a process of its own.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, type Hash } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, cpSync, mkdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import ts from 'typescript';

import { TursoPool, WebhookVerifier } from 'moorline';

import { eventServer, socketServer } from '../support/connections';
import { eventually } from '../support/eventually';
import { valueOf } from '../support/exposition';
import { serve } from '../support/http';
import { root, testsDirectory } from '../support/paths';
import { peersMissing } from '../support/peers';
import { freePort } from '../support/ports';

const packages = join(testsDirectory, 'package', 'node_modules');
const directory = join(root, 'target', `examples-${process.pid}`);
/** The working directory of the programs, which is not that of their files. */
const workingDirectory = join(directory, 'elsewhere');
const PROGRAMS = ['express-service', 'event-tail', 'fifty-sockets', 'transfer', 'forecast'];
const FORMATS = { 'an ES module': 'mjs', CommonJS: 'cjs' };
const MIB = 2 ** 20;

/** A program that runs, with what it has printed. */
interface Program {
  child: ChildProcess;
  printed(): string;
  /** Waits until it has ended by itself, without an error; gives what it printed. */
  ended(): Promise<string>;
}

const running = new Set<ChildProcess>();

function start(script: string, args: string[], env: Record<string, string>, options: string[] = []): Program {
  const { NIXTLA_API_KEY: _, ...inherited } = process.env;
  const child = spawn(process.execPath, [...options, join(directory, script), ...args], {
    cwd: workingDirectory,
    env: { ...inherited, ...env },
    timeout: 120_000,
    killSignal: 'SIGKILL',
  });
  running.add(child);
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const closed = once(child, 'close').finally(() => running.delete(child));
  return {
    child,
    printed: () => stdout,
    async ended() {
      const [code, signal] = await closed;
      assert.deepEqual([code, signal], [0, null], stderr);
      return stdout;
    },
  };
}

/** Compiles the programs under both names of a module; returns the compiler's diagnostics. */
function compile(): string {
  const files = PROGRAMS.flatMap((name) =>
    ['mts', 'cts'].map((ending) => {
      const file = join(directory, `${name}.${ending}`);
      copyFileSync(join(root, 'examples', `${name}.ts`), file);
      return file;
    }),
  );
  const options: ts.CompilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: true, // Express's own typings are not ours to check.
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    typeRoots: [join(packages, '@types')],
    types: ['node'],
  };
  const program = ts.createProgram(files, options);
  const found = [...ts.getPreEmitDiagnostics(program), ...program.emit().diagnostics];
  return ts.formatDiagnostics(found, ts.createCompilerHost(options));
}

let diagnostics: string;
before(() => {
  mkdirSync(join(directory, 'node_modules', '@types'), { recursive: true });
  mkdirSync(workingDirectory);
  cpSync(join(root, 'examples', 'data'), join(directory, 'data'), { recursive: true });
  for (const name of ['express', '@types/express'])
    symlinkSync(join(packages, name), join(directory, 'node_modules', name), 'junction');
  diagnostics = compile();
});
after(() => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

test('the examples compile strict in both module systems', () => assert.equal(diagnostics, ''));

/** A reader of a page of metrics: the sum of the samples with these labels, undefined if there is none. */
const figuresOf =
  (page: string) =>
  (metric: string, labels: Record<string, string> = {}): number | undefined =>
    valueOf(page, `moorline_${metric}`, labels);

/** The calls that the service had processed when its metrics were read. */
interface Activity {
  /** Charges that the payments answered with 200 and with 500, and that the circuit breaker refused. */
  charged: number;
  failed: number;
  refused: number;
  /** Requests that the payments had for them, and all requests with those of health checks. */
  attempts: number;
  requests: number;
  /** Statements: the table, orders in and looked for, reports and health checks. */
  statements: number;
  /** The results of the health checks of the payments. */
  healthy: number;
  unhealthy: number;
  /** How long all of it took. */
  seconds: number;
}

function assertFigures(page: string, done: Activity): void {
  const of = figuresOf(page);
  const { charged, failed, refused, attempts, requests, statements, healthy, unhealthy, seconds } = done;

  const connection = { connection: 'payments', type: 'http' };
  const by = (metric: string, outcome: string, status: string) =>
    of(`connection_${metric}`, { ...connection, outcome, status });
  assert.deepEqual([by('requests_total', 'success', '200'), by('requests_total', 'failure', '500')], [charged, failed]);
  assert.equal(of('connection_requests_total', connection), charged + failed, 'there was no other outcome');
  assert.deepEqual(
    [by('attempts_total', 'success', '200'), by('attempts_total', 'failure', '500')],
    [charged, attempts - charged],
  );
  const duration = (what: string, part: string) => of(`connection_${what}_duration_seconds_${part}`, connection)!;
  assert.deepEqual([duration('request', 'count'), duration('attempt', 'count')], [charged + failed, attempts]);
  assert.ok(duration('attempt', 'sum') > 0 && duration('attempt', 'sum') <= duration('request', 'sum'), page);
  assert.ok(duration('request', 'sum') <= seconds, page);

  const breaker = (metric: string, labels = {}) => of(`circuit_breaker_${metric}`, { breaker: 'payments', ...labels });
  const counted = ['successes', 'failures', 'refused'].map((what) => breaker(`${what}_total`));
  assert.deepEqual(counted, [charged, failed, refused]);
  const isOpen = refused > 0 ? 1 : 0;
  assert.deepEqual([breaker('state', { state: 'open' }), breaker('state')], [isOpen, 1]);

  const pool = (metric: string, labels = {}) => of(`pool_${metric}`, { type: 'libsql', ...labels });
  assert.equal(pool('acquired_total'), statements);
  assert.deepEqual([pool('connections', { state: 'in-use' }), pool('waiting'), pool('max_connections')], [0, 0, 5]);
  assert.equal(pool('connections', { state: 'idle' }), pool('created_total')! - pool('closed_total')!);
  assert.deepEqual([pool('acquire_timeouts_total'), pool('create_failures_total'), pool('leaks_total')], [0, 0, 0]);
  assert.equal(of('pool_acquired_total', { pool: 'payments', type: 'http' }), requests);

  const check = (name: string) => {
    const runs = ['healthy', 'degraded', 'unhealthy'].map((status) =>
      of('health_check_runs_total', { check: name, status }),
    );
    assert.equal(of('health_check_duration_seconds_count', { check: name }), healthy + unhealthy);
    return [...runs, of('health_checks', { check: name, status: 'healthy' })];
  };
  assert.deepEqual(check('database'), [healthy + unhealthy, 0, 0, 1]);
  assert.deepEqual(check('payments'), [healthy, 0, unhealthy, unhealthy > 0 ? 0 : 1]);

  const policy = (metric: string, labels = {}) => of(`policy_${metric}`, { policy: 'reports', ...labels });
  assert.deepEqual([policy('calls_total', { outcome: 'success' }), policy('calls_total')], [1, 1]);
  assert.deepEqual([policy('attempts_total'), policy('retries_total'), policy('refusals_total')], [1, 0, 0]);
}

for (const [format, ending] of Object.entries(FORMATS)) {
  describe(`as ${format}`, () => {
    test('the Express service takes signed webhooks, charges orders, and its figures agree with what was done', async (t) => {
      let [attempts, requests, isUnwell] = [0, 0, false];
      const payments = await serve((request, response) => {
        requests += 1;
        if (request.method === 'POST') attempts += 1;
        let body = '';
        request.setEncoding('utf8').on('data', (text: string) => (body += text));
        request.on('end', () => response.writeHead(isUnwell || body.includes('"amount":13') ? 500 : 200).end('{}'));
      });
      t.after(() => payments.close());
      const port = await freePort();
      const started = performance.now();
      const service = start(`express-service.${ending}`, [], {
        DATABASE_URL: `file:${join(directory, `orders-${ending}.db`)}`,
        PAYMENTS_URL: payments.url,
        PORT: String(port),
        WEBHOOK_SECRET: 'a secret',
      });
      const url = `http://127.0.0.1:${port}`;
      await eventually(() => service.printed().includes(url), 60_000);
      const post = (path: string, init: RequestInit = {}) => fetch(`${url}${path}`, { method: 'POST', ...init });

      const verifier = new WebhookVerifier({ secret: 'a secret' });
      for (const order of [
        { id: 'a', amount: 7 },
        { id: 'b', amount: 13 },
      ]) {
        const body = JSON.stringify(order);
        const headers = { ...verifier.signRequest({ body }), 'content-type': 'application/json' };
        assert.equal((await post('/webhooks', { body, headers })).status, 204);
        assert.equal((await post('/webhooks', { body: `${body} `, headers })).status, 401);
      }
      assert.equal((await post('/orders/a/charge')).status, 200);
      assert.equal((await post('/orders/b/charge')).status, 502);
      assert.equal((await post('/orders/c/charge')).status, 404);
      assert.deepEqual(await (await fetch(`${url}/report`)).json(), { orders: 2, amount: 20 });
      const health = async () => {
        const response = await fetch(`${url}/health`);
        return [response.status, ((await response.json()) as { status: string }).status];
      };
      assert.deepEqual(await health(), [200, 'healthy']);
      const page = async () => await (await fetch(`${url}/metrics`)).text();
      const seconds = () => (performance.now() - started) / 1000;
      const done = { charged: 1, failed: 1, refused: 0, statements: 8, healthy: 1, unhealthy: 0 };
      assertFigures(await page(), { ...done, attempts, requests, seconds: seconds() });
      assert.equal(attempts, 3, 'what was answered with 500 was repeated once');

      // An answer with 500 is an error for all that look at it.
      isUnwell = true;
      assert.deepEqual(await health(), [200, 'degraded']);
      for (let n = 0; n < 4; n++) assert.equal((await post('/orders/a/charge')).status, 502);
      assert.equal((await post('/orders/a/charge')).status, 500, 'the circuit breaker is open');
      const then = { ...done, failed: 5, refused: 1, statements: 14, unhealthy: 1 };
      assertFigures(await page(), { ...then, attempts, requests, seconds: seconds() });

      service.child.kill('SIGTERM');
      await service.ended();
    });

    test('the tail keeps each event once, over a lost connection and a restart', async (t) => {
      const EVENTS = ['1', '2', '3', '4', '5', '6'];
      let published = 2;
      const server = await eventServer();
      const database = `file:${join(directory, `events-${ending}.db`)}`;
      t.after(() => server.close());
      const env = { EVENTS_URL: server.url, DATABASE_URL: database };
      /** Sends what came after the last event that the newest client says it has, and that one again. */
      const sendEvents = async (connections: number) => {
        await eventually(() => server.requests.length === connections && server.streams.length === 1, 60_000);
        const last = server.requests.at(-1)?.headers['last-event-id'];
        const from = last === undefined ? 0 : EVENTS.indexOf(String(last));
        assert.ok(from >= 0, `unknown id ${String(last)}`);
        for (const id of EVENTS.slice(from, published))
          server.send(`retry: 1\nid: ${id}\nevent: moored\ndata: berth ${id}\n\n`);
        return last;
      };
      const first = start(`event-tail.${ending}`, [], env);
      assert.equal(await sendEvents(1), undefined);
      await eventually(() => first.printed().includes('2 moored'), 60_000);
      published = 4;
      server.streams[0]!.destroy();
      assert.equal(await sendEvents(2), '2');
      await eventually(() => first.printed().includes('4 moored'), 60_000);
      first.child.kill('SIGTERM');
      await first.ended();

      published = 6;
      const second = start(`event-tail.${ending}`, [], env);
      assert.ok(Number(await sendEvents(3)) >= 3, 'the last event may come again, those before it not');
      await eventually(() => second.printed().includes('6 moored'), 60_000);
      second.child.kill('SIGTERM');
      await second.ended();
      await using pool = new TursoPool({ url: database });
      const { rows } = await pool.execute('SELECT id, data FROM events ORDER BY id');
      assert.deepEqual(
        rows.map((row) => [row['id'], row['data']]),
        EVENTS.map((id) => [id, `berth ${id}`]),
      );
    });

    test('fifty sockets converse at once', { skip: peersMissing() }, async (t) => {
      let most = 0;
      const server = await socketServer((socket) => {
        most = Math.max(most, server.sockets.length);
        socket.on('message', (data: Buffer) => socket.send(String(data)));
      });
      t.after(() => server.close());
      const output = await start(`fifty-sockets.${ending}`, [], { ECHO_URL: server.url }).ended();
      assert.match(output, /^50 sockets, 1000 answers: half within [\d.]+ ms, 99 % within [\d.]+ ms\n$/);
      assert.equal(most, 50);
    });

    test('a transfer goes through whole, in less memory than the file has bytes', async (t) => {
      // Once is enough for the size.
      const size = (ending === 'mjs' ? 200 : 2) * MIB;
      const sent = createHash('sha256');
      let received: Hash | undefined;
      let length: string | undefined;
      const server = await serve((request, response) => {
        if (request.method === 'GET') {
          response.writeHead(200, { 'content-length': size });
          return void writePieces(response, size, sent);
        }
        const hash = createHash('sha256');
        length = request.headers['content-length'];
        request.on('data', (piece: Buffer) => hash.update(piece));
        request.on('end', () => ((received = hash), response.writeHead(201).end()));
      });
      t.after(() => server.close());
      const memory = join(directory, 'memory.cjs');
      writeFileSync(memory, "process.on('exit', () => console.log('kB', process.resourceUsage().maxRSS));");
      const file = join(directory, `transfer-${ending}`);
      const args = [`${server.url}/large`, file, `${server.url}/uploads`];
      const output = await start(`transfer.${ending}`, args, {}, ['--require', memory]).ended();
      assert.equal(statSync(file).size, size);
      assert.equal(length, String(size));
      assert.equal(received?.digest('hex'), sent.digest('hex'));
      for (const what of ['download', 'upload']) assert.ok(output.includes(`${what} 100 %`), output);
      const [, kilobytes] = /kB (\d+)/.exec(output)!;
      assert.ok(Number(kilobytes) * 1024 < 200 * MIB, `${kilobytes} kB`);
    });

    test('a forecast of the series beside it is made without a service, with its range', async () => {
      const output = await start(`forecast.${ending}`, [], {}).ended();
      const lines = output.trimEnd().split('\n');
      assert.equal(lines.length, 13, output);
      assert.match(lines[0]!, /^1961-01-01\S*  4\d\d\.\d \(90 %: \d+\.\d to \d+\.\d\)$/);
      assert.match(lines[12]!, /^by .+, local$/);
    });
  });
}

/** Writes `size` bytes as fast as they are taken. */
async function writePieces(response: ServerResponse, size: number, hash: Hash): Promise<void> {
  for (let written = 0; written < size; written += MIB) {
    const piece = Buffer.alloc(MIB, written / MIB);
    hash.update(piece);
    if (!response.write(piece)) await once(response, 'drain');
  }
  response.end();
}
