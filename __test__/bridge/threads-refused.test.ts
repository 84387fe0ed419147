// A system that refuses threads: calls reject and say so, and work when it allows threads again.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { before, describe, test } from 'node:test';
import { dist } from '../support/paths';

/** The limit counts all threads of a user, so each process runs as another user, which only root may do. */
const skip = process.platform !== 'linux' || process.getuid?.() !== 0 ? 'only root may run as another user' : false;
let user = 20_000 + ((process.pid * 64) % 30_000);
const prlimitAsUserArgs = () => [`--reuid=${user}`, `--regid=${user}`, '--clear-groups', 'prlimit'];
const nodeArgsWithThreadLimit = (threads: number) => {
  user++;
  return [...prlimitAsUserArgs(), `--nproc=${threads}:200`, process.execPath];
};

/** The calls whose threads are refused, each made twice; a line for each. */
const script = `
  const M = require(${JSON.stringify(join(dist, 'entries', 'index.js'))});
  const { createClient } = require(${JSON.stringify(join(dist, 'entries', 'libsql.js'))});
  M.setLogger({});
  process.on('unhandledRejection', (reason) => console.log('unhandled', String(reason)));
  process.on('uncaughtException', (error) => console.log('uncaught', error.message));
  const day = 86_400_000, off = { autoRetry: false, healthCheckInterval: Infinity };
  const timeseries = Array.from({ length: 50 }, (_, n) => ({ timestamp: n * day, value: n % 7 }));
  const calls = {
    service: () => new M.NixtlaClient({ apiKey: 'k', baseUrl: 'http://127.0.0.1:1', maxRetries: 0 }).usage(),
    address: () => new M.HTTPConnection({ url: 'http://127.0.0.1:1/', ...off }).request({}),
    name: () => new M.HTTPConnection({ url: 'http://localhost:1/', ...off }).request({}),
    tls: () => new M.HTTPConnection({ url: 'https://127.0.0.1:1/', ...off }).request({}),
    pool: async () => new M.TursoPool({ url: ':memory:' }).execute('SELECT 1'),
    client: async () => createClient({ url: ':memory:' }).execute('SELECT 1'),
    model: () => new M.NixtlaClient({ fallback: 'local' }).forecast({ timeseries, horizon: 2 }),
    objects: async () => { const pool = new M.ConnectionPool({}, async () => ({})); await pool.start(); await pool.stop(); },
  };
  async function round() {
    for (const [name, call] of Object.entries(calls)) {
      await call().then(() => console.log(name, 'fulfilled'), (e) => {
        const all = ['kind', 'code', 'service', 'delivery', 'retryable', 'attempts'].every((field) => e[field] !== undefined);
        const refused = [e.message, e.cause?.message].join().includes('could not create a thread');
        console.log(name, e instanceof M.MoorlineError && all ? (refused ? 'refused ' + e.delivery : e.kind) : String(e.stack));
      });
    }
  }`;

/** The fewest threads with which Node itself starts and ends; with fewer it may hang. */
function fewestThreads(): number {
  const runs = (threads: number) =>
    spawnSync('setpriv', [...nodeArgsWithThreadLimit(threads), '-e', '0'], { timeout: 10_000, killSignal: 'SIGKILL' })
      .status === 0;
  let threads = 16;
  assert.ok(runs(threads), 'Node runs as another user');
  while (runs(threads - 1)) threads--;
  return threads;
}

describe('bridge: refused threads', { skip }, () => {
  let minimum: number;
  before(() => (minimum = fewestThreads()));

  test('with as many threads as Node needs, and with a few more, every call settles and says what is missing', () => {
    for (let more = 0; more <= 4; more++) {
      const body = `${script}; round().then(round).finally(() => process.exit(0));`;
      const { status, stdout, stderr } = spawnSync(
        'setpriv',
        [...nodeArgsWithThreadLimit(minimum + more), '-e', body],
        {
          encoding: 'utf8',
          timeout: 120_000,
        },
      );
      const lines = stdout.split('\n').filter(Boolean);
      assert.equal(status, 0, stdout + stderr);
      assert.equal(lines.length, 16, stdout);
      for (const line of lines) assert.match(line, /^\w+ (fulfilled|refused none|connect)$/, `${more} more\n${stdout}`);
      if (more === 0)
        assert.ok(
          lines.every((line) => line.endsWith('refused none')),
          stdout,
        );
    }
  });

  test('a later call finds the threads that an earlier one did not', async (t) => {
    const body = `${script}; round().then(() => { console.log('over'); process.stdin.once('data', () => round().finally(() => process.exit(0))); });`;
    const child = spawn('setpriv', [...nodeArgsWithThreadLimit(minimum), '-e', body], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    t.after(() => child.kill('SIGKILL'));
    const closed = once(child, 'close');
    const lines: string[] = [];
    const reader = createInterface(child.stdout);
    const over = new Promise<void>((resolve) => {
      reader.on('line', (line) => (line === 'over' ? resolve() : lines.push(line)));
    });
    await Promise.race([over, closed]);
    assert.ok(
      lines.every((line) => line.endsWith('refused none')),
      lines.join('\n'),
    );
    const raised = spawnSync('setpriv', [...prlimitAsUserArgs(), '--pid', String(child.pid), '--nproc=200:200']);
    assert.equal(raised.status, 0, String(raised.stderr));
    child.stdin.end('again');
    const [code] = (await closed) as [number | null];
    assert.equal(code, 0);
    const second = lines.slice(8);
    assert.equal(second.length, 8, lines.join('\n'));
    for (const line of second)
      assert.match(line, /^(service|address|name|tls) connect$|^\w+ fulfilled$/, lines.join('\n'));
  });
});
