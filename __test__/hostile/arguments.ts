// Every export and every method, called with values that no caller ought to pass: `arguments.ts <seed> <ms> [<file>]`.
//
// The process must live, and everything that is thrown must be one of ours, or the exception of a hostile value.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSync, readdirSync, readFileSync, writeSync } from 'node:fs';

import * as moorline from 'moorline';
import * as libsql from 'moorline/libsql';

import { listen } from '../support/ports';
import { pick, seededRandom } from './random';
import { hostile, UserError } from './values';
import { root } from '../support/paths';

const [seed = 1, durationMs = 5000] = process.argv.slice(2, 4).map(Number);
/** The file that names the running call, to diagnose a hang. */
const trace = openSync(process.argv[4] ?? join(tmpdir(), `moorline-hostile-${process.pid}`), 'w');
const random = seededRandom(seed);
/** The number of calls before new objects are created. */
const CALLS_PER_ROUND = 400;

/** Keys of options: what looks right goes further than what does not. */
const OPTION_KEYS = [
  ...['url', 'name', 'secret', 'sql', 'args', 'timeoutMs', 'signal', 'headers', 'body', 'method', 'path', 'timeseries'],
  ...['horizon', 'frequency', 'id', 'status', 'healthy', 'maxSize', 'minSize', 'poolSize', 'retry', 'breaker', 'tls'],
  ...['customOptions', 'customHeaders', 'scheme', 'url', 'critical', 'intervalMs', 'capacity', 'data', 'kind', 'type'],
];

type AnyRecord = Record<string, unknown>;

/** Objects that work, so that their methods are reached. */
function objectFactories(port: number): Record<string, () => unknown> {
  const url = `http://127.0.0.1:${port}/`;
  const off = { healthCheckInterval: Infinity, autoRetry: false, autoReconnect: false, timeout: 500 };
  class Own extends moorline.BaseConnection {
    protected override sendImpl = async () => undefined;
    protected override receiveImpl = async () => 1;
  }
  const own = () => new Own({ url, ...off });
  return {
    TursoPool: () => new moorline.TursoPool({ url: ':memory:', queryTimeoutMs: 500 }),
    Client: () => libsql.createClient({ url: ':memory:' }),
    Policy: () => new moorline.Policy({ name: `policy-${random()}` }),
    CircuitBreaker: () => new moorline.CircuitBreaker(`breaker-${random()}`),
    HealthMonitor: () => new moorline.HealthMonitor(),
    HealthChecker: () => new moorline.HealthChecker(),
    MemoryReplayStore: () => new moorline.MemoryReplayStore(),
    WebhookVerifier: () => new moorline.WebhookVerifier({ secret: 's' }),
    NixtlaClient: () => new moorline.NixtlaClient({ apiKey: 'k', baseUrl: url, maxRetries: 0, timeout: 500 }),
    LocalNixtla: () => new moorline.NixtlaClient({ fallback: 'local' }),
    HTTPConnection: () => new moorline.HTTPConnection({ url, ...off }),
    WebSocketConnection: () => new moorline.WebSocketConnection({ url: url.replace('http', 'ws'), ...off }),
    SSEConnection: () => new moorline.SSEConnection({ url, ...off }),
    BaseConnection: own,
    ConnectionPool: () => new moorline.ConnectionPool({ maxSize: 2, acquireTimeout: 0.2 }, async () => own()),
    ConnectionManager: () => new moorline.ConnectionManager(),
    ConnectionConfigManager: () => new moorline.ConnectionConfigManager(),
    ConnectionMetricsTracker: () => new moorline.ConnectionMetricsTracker(),
    ConnectionSecurity: () => new moorline.ConnectionSecurity(),
    ExponentialBackoffRetry: () => new moorline.ExponentialBackoffRetry(),
  };
}

/** The names of public methods: those in the typings. */
const PUBLIC_METHODS = new Set(
  readdirSync(root)
    .filter((file) => file.endsWith('.d.ts'))
    .flatMap((file) => {
      const typings = readFileSync(join(root, file), 'utf8');
      return Array.from(typings.matchAll(/^\s+(?:static |async )?(\w+)\s*(?:<[^>]*>)?\(/gm), ([, name]) => name!);
    }),
);

/** All public methods of an object, with those it inherits. */
function methods(object: object): string[] {
  const names = new Set<string>();
  for (let level = object; level && level !== Object.prototype; level = Object.getPrototypeOf(level) as object) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(level))) {
      if (typeof value === 'function' && name !== 'constructor' && PUBLIC_METHODS.has(name)) names.add(name);
    }
  }
  return [...names].sort();
}

/** The description of the last call, for errors that arise outside of it. */
let lastCall = '';

/** Fails unless a call may throw or reject with `error`. */
function checkError(error: unknown, what: string): void {
  if (error instanceof UserError || (error instanceof Error && error.message === 'given')) return;
  const ours = error instanceof moorline.MoorlineError || error instanceof TypeError || error instanceof RangeError;
  const description =
    error instanceof Error
      ? `${error.name} [${(error as NodeJS.ErrnoException).code}] ${error.message}`
      : String(error);
  const defect =
    description.includes('by a defect') ||
    /^\w+ \[(\w+Expected|InvalidArg|GenericFailure|PendingException)\]/.test(description);
  if (!defect && ours && error.message !== '') return;
  if (ALLOWED.some((allowed) => allowed.test(description))) return;
  fail(`${what}\nthrew ${error instanceof Error ? error.stack : description}`);
}

/** Documented exceptions of other classes. */
const ALLOWED = [
  /^Error \[undefined\] NIXTLA_API_KEY environment variable is required$/,
  /^AbortError /,
  /^TimeoutError /,
];

function fail(problem: string): never {
  writeSync(1, `seed ${seed}: ${problem}\n`);
  process.exit(1);
}

process.on('unhandledRejection', (reason) =>
  fail(`unhandledRejection after ${lastCall}: ${reason instanceof Error ? reason.stack : String(reason)}`),
);
process.on('uncaughtException', (error) => fail(`uncaughtException after ${lastCall}: ${error.stack}`));

function attempt(what: string, call: () => unknown): unknown {
  lastCall = what;
  writeSync(trace, what.padEnd(80), 0);
  try {
    const value = call();
    if (value instanceof Promise) {
      value.then(
        (resolved) => dispose(resolved),
        (error: unknown) => checkError(error, what),
      );
    }
    return value;
  } catch (error) {
    checkError(error, what);
    return undefined;
  }
}

/** Closes the result of a call, if it can be closed. */
function dispose(made: unknown): void {
  if (typeof made !== 'object' || made === null) return;
  for (const name of ['stop', 'disconnect', 'drain', 'close', 'rollback']) {
    try {
      const end = (made as AnyRecord)[name];
      if (typeof end !== 'function') continue;
      const ended: unknown = Reflect.apply(end, made, []);
      if (ended instanceof Promise) ended.catch(() => undefined);
    } catch {
      // It was made of hostile values.
    }
  }
}

const inputs = () => Array.from({ length: Math.floor(random() * 4) }, () => hostile(random, OPTION_KEYS));

async function main(): Promise<void> {
  moorline.setLogger({});
  const server = createServer((_, response) => response.end('{}'));
  const port = await listen(server);
  const factories = Object.entries(objectFactories(port));
  const exported = Object.entries({ ...moorline, ...libsql } as AnyRecord).filter(
    ([, value]) => typeof value === 'function',
  );
  const until = performance.now() + durationMs;
  let calls = 0;
  while (performance.now() < until) {
    const objects = factories.map(([name, make]) => [name, make() as object] as const);
    for (let call = 0; call < CALLS_PER_ROUND && performance.now() < until; call++, calls++) {
      if (random() < 0.3) {
        const [name, value] = pick(exported, random);
        if (name === 'setLogger') continue;
        const made = attempt(`${calls}: ${name}()`, () =>
          /^[A-Z]/.test(name)
            ? Reflect.construct(value as new () => object, inputs())
            : (value as (...given: unknown[]) => unknown)(...inputs()),
        );
        dispose(made);
      } else {
        const [name, object] = pick(objects, random);
        const method = pick(methods(object), random);
        attempt(`${calls}: ${name}.${method}()`, () =>
          Reflect.apply((object as AnyRecord)[method] as () => unknown, object, inputs()),
        );
      }
      // Lets what was begun go on.
      if (call % 20 === 0) await new Promise(setImmediate);
    }
    for (const [, object] of objects) dispose(object);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  moorline.resetHealthMonitor();
  // The addon works as before.
  const pool = new moorline.TursoPool({ url: ':memory:' });
  assert.equal((await pool.execute('SELECT 1 AS n')).rows[0]?.['n'], 1);
  await pool.drain();
  writeSync(1, `${calls} calls\n`);
  process.exit(0);
}

void main();
