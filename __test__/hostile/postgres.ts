// A server of PostgreSQL that answers with what none ought to send: `postgres.ts <seed> <ms>`.
//
// First each case of the table once, with the kind of error that it has to end in; then, for as long as there is time, messages
// that are cut and changed anywhere: each call ends in its time, with a kind of error, in bounded memory.
import assert from 'node:assert/strict';
import { writeSync } from 'node:fs';
import type { Socket } from 'node:net';

import { MoorlineError, PostgresConnectionManager, setLogger } from 'moorline';

import {
  int16,
  int32,
  LOGIN,
  message,
  READY,
  result,
  ScriptedPostgres,
  serverError,
} from '../postgres/postgres-script';
import { pick, seededRandom } from './random';

const [seed = 1, durationMs = 5000] = process.argv.slice(2, 4).map(Number);
const random = seededRandom(seed);

const LIMITS = { connectionTimeoutMillis: 1000, queryTimeoutMs: 400, recycleTimeoutMs: 200 };
/** What a call may take longer than its limits on a machine that is shared. */
const SLACK_MS = 10_000;
const CALLS_AT_ONCE = 8;
const MAX_GROWN_BYTES = 300 << 20;

/** What a statement gets, whether the server hangs up then, and in what that has to end: a kind of error, or `ok`. */
interface Case {
  sends?: Buffer;
  login?: Buffer;
  expected: string | readonly string[];
  hangsUp?: boolean;
}

const head = (tag: string, length: number) => Buffer.concat([Buffer.from(tag), int32(length)]);
const text = (bytes: string) => Buffer.from(bytes, 'latin1');

const CASES: Record<string, Case> = {
  'a result': { sends: result('a', 'b'), expected: 'ok' },
  'HTTP in place of a login': { login: text('HTTP/1.1 400 Bad Request\r\n\r\n'), expected: 'protocol' },
  'a banner': { login: text('SSH-2.0-OpenSSH_9.2\r\n'), expected: 'protocol' },
  'silence in place of a login': { login: Buffer.alloc(0), expected: 'connect' },
  'a login of a gigabyte': { login: head('R', 1 << 30), expected: 'protocol' },
  'an unknown way to log in': { login: message('R', int32(99)), expected: ['auth', 'protocol', 'rejected'] },
  silence: { sends: Buffer.alloc(0), expected: 'timeout' },
  'a negative length': { sends: head('D', -1), expected: 'protocol' },
  'a length below its own': { sends: head('D', 3), expected: 'protocol' },
  'a length of a gigabyte, of which nothing comes': { sends: head('D', 1 << 30), expected: 'timeout' },
  'a length above what is possible': { sends: head('D', 0x7f_ff_ff_ff), expected: 'protocol' },
  'a row that was not described': { sends: message('D', int16(0)), expected: 'protocol' },
  'a row of other columns': { sends: replaceRow(message('D', int16(2), int32(-1), int32(-1))), expected: 'protocol' },
  'a value of a negative length': { sends: replaceRow(message('D', int16(1), int32(-2))), expected: 'protocol' },
  'a value beyond its message': { sends: replaceRow(message('D', int16(1), int32(9), 'a')), expected: 'protocol' },
  'a field without end': { sends: message('T', int16(1), 'n'), expected: 'protocol' },
  'an error that is none': { sends: Buffer.concat([message('E', 'Sno end'), READY]), expected: 'protocol' },
  'a state that is none': { sends: message('Z', 'x'), expected: 'protocol' },
  'an unknown message': { sends: message('~', 'x'), expected: 'protocol' },
  'a message of another answer': { sends: message('R', int32(0)), expected: 'protocol' },
  'two answers to one statement': { sends: Buffer.concat([result('a'), result('b')]), expected: ['ok', 'protocol'] },
  'the end in a row': { sends: result('abc').subarray(0, 40), expected: 'disconnected', hangsUp: true },
  'the end': { expected: 'disconnected', hangsUp: true },
  'an error, and the end': {
    sends: serverError('FATAL', '57P01', 'over'),
    expected: 'disconnected',
    hangsUp: true,
  },
  'a hundred thousand notices': {
    sends: Buffer.concat([...Array<Buffer>(100_000).fill(message('N', 'SNOTICE\0C00000\0Mnote\0\0')), result('a')]),
    expected: 'ok',
  },
};

/** A result whose row is another. */
function replaceRow(row: Buffer): Buffer {
  const whole = result('a');
  const at = whole.indexOf('D\0\0\0');
  return Buffer.concat([whole.subarray(0, at), row, READY]);
}

const kindOf = (error: unknown): string => {
  assert.ok(error instanceof MoorlineError, String(error));
  assert.notEqual(error.message, '');
  assert.doesNotMatch(error.message, /by a defect/);
  return error.kind;
};

/** One call, and how it ends; it has to be in time. */
async function call(manager: PostgresConnectionManager): Promise<string> {
  const began = performance.now();
  const outcome = await manager.query('SELECT 1').then(() => 'ok', kindOf);
  const tookMs = performance.now() - began;
  assert.ok(
    tookMs < LIMITS.connectionTimeoutMillis + LIMITS.queryTimeoutMs + SLACK_MS,
    `${outcome} after ${tookMs} ms`,
  );
  return outcome;
}

async function runCases(): Promise<number> {
  for (const [name, { sends, login, expected, hangsUp }] of Object.entries(CASES)) {
    const end = (socket: Socket, bytes: Buffer | undefined) => {
      if (hangsUp) socket.end(bytes ?? '');
      return hangsUp ? undefined : bytes;
    };
    const script = { answer: (socket: Socket) => end(socket, sends), ...(login && { login: () => login }) };
    const server = await ScriptedPostgres.start(script);
    const manager = new PostgresConnectionManager({ ...server.config, ...LIMITS, max: 1 });
    try {
      const outcome = await call(manager);
      assert.ok([expected].flat().includes(outcome), `${name}: ${outcome}, not ${[expected].flat().join(' or ')}`);
    } finally {
      await manager.shutdown(0);
      server.close();
    }
  }
  return Object.keys(CASES).length;
}

const SOURCES = [
  result('a'),
  result(...Array<string>(50).fill('some text')),
  Buffer.concat([message('1'), message('2'), result('a')]),
  Buffer.concat([serverError('ERROR', '42601', 'syntax'), READY]),
  Buffer.concat([message('N', 'SNOTICE\0C00000\0Mnote\0\0'), message('A', int32(1), 'news\0', 'text\0'), result('a')]),
  Buffer.concat([message('S', 'TimeZone\0', 'UTC\0'), message('I'), READY]),
  Buffer.concat([message('C', 'INSERT 0 1\0'), message('Z', 'T')]),
];

const integer = (below: number) => Math.floor(random() * below);

/** The same bytes, but for a few of them. */
function mutate(source: Buffer): Buffer {
  let bytes = Buffer.from(source);
  for (let change = integer(4); change >= 0; change--) {
    const at = integer(bytes.length);
    const kind = integer(6);
    if (kind === 0) bytes = bytes.subarray(0, at);
    else if (kind === 1) bytes[at] = integer(256);
    else if (kind === 2 && at + 4 <= bytes.length)
      bytes.writeInt32BE(pick([0, -1, 3, 4, 1 << 20, 1 << 30, 0x7f_ff_ff_ff], random), at);
    else if (kind === 3) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(integer(bytes.length))]);
    else if (kind === 4) bytes = Buffer.concat([bytes, pick(SOURCES, random)]);
    else bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from([integer(256), integer(256)]), bytes.subarray(at)]);
    if (bytes.length === 0) break;
  }
  return bytes;
}

/** Writes in pieces that are cut anywhere, and hangs up perhaps. */
function send(socket: Socket, bytes: Buffer): undefined {
  const cut = integer(bytes.length + 1);
  if (!socket.writable) return;
  socket.write(bytes.subarray(0, cut));
  setImmediate(() => {
    if (!socket.writable) return;
    socket.write(bytes.subarray(cut));
    if (random() < 0.3) socket.end();
  });
}

async function fuzz(untilMs: number): Promise<Map<string, number>> {
  const outcomes = new Map<string, number>();
  const server = await ScriptedPostgres.start({
    login: (socket) => (random() < 0.8 ? LOGIN : send(socket, mutate(LOGIN))),
    answer: (socket) => (random() < 0.2 ? pick(SOURCES, random) : send(socket, mutate(pick(SOURCES, random)))),
  });
  const manager = new PostgresConnectionManager({ ...server.config, ...LIMITS, max: CALLS_AT_ONCE });
  const before = process.memoryUsage.rss();
  const work = async () => {
    while (performance.now() < untilMs) {
      const outcome = await call(manager);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      const grown = process.memoryUsage.rss() - before;
      assert.ok(grown < MAX_GROWN_BYTES, `${grown} bytes more`);
    }
  };
  try {
    await Promise.all(Array.from({ length: CALLS_AT_ONCE }, work));
  } finally {
    await manager.shutdown(0);
    server.close();
  }
  return outcomes;
}

async function main(): Promise<void> {
  setLogger({});
  const until = performance.now() + durationMs;
  const cases = await runCases();
  const outcomes = await fuzz(until);
  const told = [...outcomes].sort(([, one], [, other]) => other - one).map(([kind, times]) => `${kind} ${times}`);
  writeSync(1, `${cases} cases, then ${told.join(', ')}\n`);
}

void main();
