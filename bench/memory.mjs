// The resident memory of idle objects: a thousand of each, in a fresh process for each measurement, their server in
// another. Its lines are those of the harness, with `bytesPerObject` and `threads` in place of times: the threads that the
// thousand objects brought.
import { execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { getHeapSpaceStatistics } from 'node:v8';

import { load, skipBench } from './harness.mjs';

const ROUNDS = 5;
const OBJECTS = 1000;
/** Opened before the first measurement, so that what the first ones load and start is not counted. */
const FIRST = 50;
/** Opened at the same time. */
const TOGETHER = 50;

/** Opens one object, by case and contestant; what it gives is kept until the end. */
const OPENERS = {
  'idle websocket': {
    async moorline(port) {
      const connection = new (load('moorline').WebSocketConnection)({ url: `ws://127.0.0.1:${port}/` });
      if (!(await connection.connect())) throw new Error('moorline does not connect');
      return connection;
    },
    async ws(port) {
      const { WebSocket } = await import('ws');
      const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { perMessageDeflate: false });
      await once(socket, 'open');
      return socket;
    },
  },
  'idle sse': {
    async moorline(port) {
      const connection = new (load('moorline').SSEConnection)({ url: `http://127.0.0.1:${port}/` });
      if (!(await connection.connect())) throw new Error('moorline does not connect');
      return connection;
    },
    async eventsource(port) {
      const { EventSource } = await import('eventsource');
      const source = new EventSource(`http://127.0.0.1:${port}/`);
      await once(source, 'open');
      return source;
    },
  },
  'idle libsql': {
    async moorline() {
      const pool = new (load('moorline').TursoPool)({ url: ':memory:' });
      await pool.execute('SELECT 1');
      return pool;
    },
  },
};

const threads = () => readdirSync('/proc/self/task').length;

/** Opens `count` objects, some at a time. */
async function openAll(open, count) {
  const objects = [];
  while (objects.length < count) {
    objects.push(...(await Promise.all(Array.from({ length: Math.min(TOGETHER, count - objects.length) }, open))));
  }
  return objects;
}

/**
 * Has V8's young generation grow to its full size. It grows once in a process, by what survives in it, and would otherwise do so
 * in the middle of a measurement, which would count it for the objects (12 KiB for each of a thousand).
 */
function growYoungGeneration() {
  const size = () => getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space').space_size;
  let [before, kept] = [0, []];
  while (before < size()) {
    before = size();
    for (let n = 0; n < 2_000_000; n++) {
      // The last ones survive a collection, which is what has it grow.
      if (n % 100_000 === 0) kept = [];
      kept.push({ n });
    }
  }
  return kept.length;
}

/** The resident bytes when nothing is left to do: a thread that does nothing ends after a second. */
async function residentBytes() {
  for (let turn = 0; turn < 15; turn++) {
    await sleep(100);
    globalThis.gc();
  }
  return process.memoryUsage.rss();
}

/** What this process takes for one object. */
async function measure(name, contestant, port) {
  growYoungGeneration();
  const open = () => OPENERS[name][contestant](port);
  const first = await openAll(open, FIRST);
  const [bytesBefore, threadsBefore] = [await residentBytes(), threads()];
  const objects = await openAll(open, OBJECTS);
  const bytesPerObject = Math.round(((await residentBytes()) - bytesBefore) / OBJECTS);
  // Both are held until here.
  if (first.length + objects.length !== FIRST + OBJECTS) throw new Error('some objects are missing');
  return { bytesPerObject, threads: threads() - threadsBefore };
}

async function runRounds(name, port) {
  const contestants = Object.keys(OPENERS[name]);
  const rounds = new Map(contestants.map((contestant) => [contestant, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (let turn = 0; turn < contestants.length; turn++) {
      const contestant = contestants[(round + turn) % contestants.length];
      const args = ['--expose-gc', fileURLToPath(import.meta.url), 'measure', name, contestant, String(port)];
      const { stdout } = await promisify(execFile)(process.execPath, args);
      rounds.get(contestant).push(JSON.parse(stdout));
    }
  }
  return contestants.map((contestant) => {
    const measured = rounds.get(contestant).sort((a, b) => a.bytesPerObject - b.bytesPerObject);
    return { contestant, ours: contestant === 'moorline', ...measured[Math.floor(ROUNDS / 2)] };
  });
}

function print(name, results) {
  console.log(`\nmemory: ${name} (medians of ${ROUNDS} processes with ${OBJECTS} objects)`);
  for (const { contestant, bytesPerObject, threads: more } of results) {
    console.log(`${contestant.padEnd(12)} ${(bytesPerObject / 1024).toFixed(1).padStart(7)} KiB, ${more} threads`);
  }
}

if (process.argv[2] === 'measure') {
  const [name, contestant, port] = process.argv.slice(3);
  console.log(JSON.stringify(await measure(name, contestant, Number(port))));
  process.exit();
} else {
  if (process.platform !== 'linux') skipBench('memory', 'it reads /proc');
  const server = fork(join(import.meta.dirname, 'servers', 'idle.mjs'));
  const failed = (code) => skipBench('memory', `its server ended with ${code}`);
  server.once('exit', failed);
  const [port] = await once(server, 'message');
  for (const name of Object.keys(OPENERS)) {
    const results = await runRounds(name, port);
    if (!process.argv.includes('--json')) print(name, results);
    else for (const result of results) console.log(JSON.stringify({ bench: 'memory', case: name, ...result }));
  }
  server.off('exit', failed);
  server.disconnect();
}
