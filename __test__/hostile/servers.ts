// Servers that answer with what no server ought to send: `servers.ts <seed> <ms>`.
//
// First each case of the tables once, with the kind of error that it has to end in; then, for as long as there is time,
// answers that are mutated, of which only is asked that the call ends, in one of the kinds.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';

import { MoorlineError, setLogger, TursoPool } from 'moorline';

import { record } from '../support/sse';
import { HttpTransport } from '../support/http';
import { listen } from '../support/ports';
import { RecordedSocket } from '../support/websocket';
import { pick, seededRandom } from './random';

const [seed = 1, forMs = 5000] = process.argv.slice(2, 4).map(Number);
const next = seededRandom(seed);

/** What a server sends, whether it hangs up then, and in what that has to end: a kind of error, or `ok`. */
interface Case {
  sends: string | Buffer | (string | Buffer)[];
  ends: string | readonly string[];
  hangsUp?: boolean;
}
type Table = Record<string, Case>;

/** For what is cut off: the rest never comes. */
const LIMIT_MS = 1500;
const head = (...lines: string[]) => `HTTP/1.1 200 OK\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
const json = (value: unknown) => {
  const body = typeof value === 'string' ? value : JSON.stringify(value);
  return head('Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`) + body;
};

const HTTP: Table = {
  'an answer': { sends: json({}), ends: 'ok' },
  'no HTTP': { sends: '\x00\x01\x02 nothing\r\n\r\n', ends: 'protocol' },
  'an unknown version': { sends: 'HTTP/9.9 200 OK\r\n\r\n', ends: 'protocol' },
  'a status of letters': { sends: 'HTTP/1.1 abc OK\r\n\r\n', ends: 'protocol' },
  'a status of seven digits': { sends: 'HTTP/1.1 2000000 OK\r\n\r\n', ends: 'protocol' },
  'a cut status line': { sends: 'HTTP/1.1 2', ends: ['disconnected', 'protocol'], hangsUp: true },
  'a header without a colon': { sends: head('nothing', 'Content-Length: 0'), ends: 'protocol' },
  'a header with NUL': { sends: head('a: \0', 'Content-Length: 0'), ends: 'protocol' },
  'headers without end': { sends: head().slice(0, -2) + 'a: b\r\n'.repeat(200_000), ends: 'protocol' },
  'a negative length': { sends: head('Content-Length: -1'), ends: 'protocol' },
  'a length over 64 bits': { sends: head('Content-Length: 99999999999999999999'), ends: 'protocol' },
  'two lengths': { sends: head('Content-Length: 1', 'Content-Length: 2') + 'ab', ends: 'protocol' },
  'a chunk of no size': { sends: head('Transfer-Encoding: chunked') + 'zz\r\n', ends: 'protocol' },
  'a chunk over 64 bits': { sends: head('Transfer-Encoding: chunked') + 'fffffffffffffffff\r\n', ends: 'protocol' },
  'a chunk that goes on': { sends: head('Transfer-Encoding: chunked') + '1\r\nabc', ends: 'protocol' },
  'a short body': { sends: head('Content-Length: 9') + 'abc', ends: ['disconnected', 'protocol'], hangsUp: true },
  'a body that stops': { sends: head('Content-Length: 9') + 'abc', ends: 'timeout' },
  'no gzip': { sends: head('Content-Encoding: gzip', 'Content-Length: 3') + 'abc', ends: 'protocol' },
  'a cut gzip': {
    sends: [head('Content-Encoding: gzip', 'Connection: close'), gzipSync('x'.repeat(1000)).subarray(0, 12)],
    ends: 'protocol',
    hangsUp: true,
  },
  'many 100s': { sends: 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(100) + json({}), ends: ['ok', 'protocol'] },
  'a switch of protocols': { sends: 'HTTP/1.1 101 Switching Protocols\r\n\r\n', ends: ['ok', 'protocol'] },
  nothing: { sends: '', ends: 'timeout' },
  'the end': { sends: '', ends: ['disconnected', 'protocol'], hangsUp: true },
};

const frame = (first: number, ...rest: (number | string)[]) =>
  Buffer.concat([
    Buffer.from([first]),
    ...rest.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from([part]))),
  ]);

/** After a good handshake. */
const FRAMES: Table = {
  'a close': { sends: frame(0x88, 2, '\x03\xe8'), ends: 'ok' },
  'a reserved bit': { sends: frame(0xc1, 1, 'a'), ends: 'protocol' },
  'an unknown opcode': { sends: frame(0x83, 0), ends: 'protocol' },
  'a masked frame': { sends: frame(0x81, 0x81, '\0\0\0\0a'), ends: 'protocol' },
  'a control frame in pieces': { sends: frame(0x09, 0), ends: 'protocol' },
  'a long ping': { sends: frame(0x89, 126, '\0\x80', 'x'.repeat(128)), ends: 'protocol' },
  'text that is no UTF-8': { sends: frame(0x81, 2, '\xc3\x28'), ends: 'protocol' },
  'a piece of nothing': { sends: frame(0x80, 1, 'a'), ends: 'protocol' },
  'a message within a message': { sends: [frame(0x01, 1, 'a'), frame(0x81, 1, 'b')], ends: 'protocol' },
  'a length over 63 bits': { sends: frame(0x82, 127, '\xff\xff\xff\xff\xff\xff\xff\xff'), ends: 'protocol' },
  'a length of many gigabytes': {
    sends: frame(0x82, 127, '\0\0\x7f\xff\xff\xff\xff\xff'),
    ends: ['protocol', 'overloaded', 'rejected'],
  },
  'a close of one byte': { sends: frame(0x88, 1, 'a'), ends: 'protocol' },
  'a close with a code nobody may send': { sends: frame(0x88, 2, '\x03\xed'), ends: 'protocol' },
  'a close whose reason is no UTF-8': { sends: frame(0x88, 4, '\x03\xe8\xc3\x28'), ends: 'protocol' },
  'a cut frame': { sends: frame(0x82, 9, 'a'), ends: 'disconnected', hangsUp: true },
  'the end': { sends: '', ends: 'disconnected', hangsUp: true },
};

const upgraded = (...lines: string[]) =>
  `HTTP/1.1 101 Switching Protocols\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
const UPGRADE = ['Upgrade: websocket', 'Connection: Upgrade'];

const HANDSHAKES: Table = {
  'a refusal': { sends: head('Content-Length: 0'), ends: 'rejected' },
  'no HTTP': { sends: '\x00\x01\r\n\r\n', ends: 'protocol' },
  'a wrong accept': { sends: upgraded(...UPGRADE, 'Sec-WebSocket-Accept: AAAA'), ends: 'protocol' },
  'no upgrade': { sends: upgraded('Sec-WebSocket-Accept: AAAA'), ends: 'protocol' },
  'headers without end': { sends: upgraded().slice(0, -2) + 'a: b\r\n'.repeat(200_000), ends: 'protocol' },
  'the end': { sends: '', ends: 'connect', hangsUp: true },
  nothing: { sends: '', ends: 'timeout' },
};

const stream = (...sends: (string | Buffer)[]) => [head('Content-Type: text/event-stream'), ...sends];

/** A stream that ends is `ok`: the listener is told so, without a failure. */
const EVENTS: Table = {
  'an event': { sends: stream('data: a\n\n'), ends: ['ok', 'disconnected'], hangsUp: true },
  'no event stream': { sends: json({}), ends: 'protocol' },
  'a line without end': { sends: stream('data: ' + 'x'.repeat(3 << 20)), ends: 'protocol' },
  'an event without end': { sends: stream('data: xxxxxxxxx\n'.repeat(300_000)), ends: 'protocol' },
  'bytes that are no UTF-8': {
    sends: stream(Buffer.from('data: \xff\xfe\xc3\x28\n\n', 'latin1')),
    ends: ['ok', 'disconnected'],
    hangsUp: true,
  },
  'a NUL and odd fields': {
    sends: stream('id: \0\nretry: 99999999999999999999\nretry: -1\n:\n\n\n\rdata\n\n'),
    ends: ['ok', 'disconnected'],
    hangsUp: true,
  },
  'a broken chunk': {
    sends: [head('Content-Type: text/event-stream', 'Transfer-Encoding: chunked'), 'zz\r\n'],
    ends: ['protocol', 'disconnected'],
  },
  'an error': { sends: 'HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n', ends: 'rejected' },
};

const executed = (result: unknown) => ({
  baton: null,
  base_url: null,
  results: [
    { type: 'ok', response: { type: 'execute', result } },
    { type: 'ok', response: { type: 'close' } },
  ],
});
const row = (...values: unknown[]) => ({
  cols: values.map((_, n) => ({ name: `c${n}` })),
  rows: [values],
  affected_row_count: 0,
  last_insert_rowid: null,
});

const DATABASE: Table = {
  'no JSON': { sends: json('nothing'), ends: 'protocol' },
  'half a JSON': { sends: json('{"baton":null,"results":['), ends: 'protocol' },
  'no results': { sends: json({}), ends: 'protocol' },
  'results of nothing': { sends: json({ baton: null, base_url: null, results: [] }), ends: 'protocol' },
  'a result of another type': {
    sends: json({ baton: null, base_url: null, results: [{ type: 'ok', response: { type: 'batch', result: {} } }] }),
    ends: 'protocol',
  },
  'a value of no type': { sends: json(executed(row({ type: 'unknown' }))), ends: 'protocol' },
  'an invalid integer': { sends: json(executed(row({ type: 'integer', value: 'x' }))), ends: 'protocol' },
  'an integer over 64 bits': {
    sends: json(executed(row({ type: 'integer', value: '99999999999999999999' }))),
    ends: 'protocol',
  },
  'a blob that is no base64': { sends: json(executed(row({ type: 'blob', base64: '%%%' }))), ends: 'protocol' },
  'deep nesting': { sends: json('['.repeat(100_000)), ends: 'protocol' },
  'a page of HTML': { sends: head('Content-Type: text/html', 'Content-Length: 6') + '<html>', ends: 'protocol' },
  'an error of no shape': { sends: 'HTTP/1.1 400 Bad\r\nContent-Length: 3\r\n\r\n{"e', ends: ['rejected', 'protocol'] },
  'the end': { sends: '', ends: ['disconnected', 'protocol', 'connect'], hangsUp: true },
};

/** A server that gives each connection the same answer. */
async function answering(answer: (socket: Socket, request: string) => void) {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    socket.once('data', (bytes) => answer(socket, bytes.toString('latin1')));
  });
  const port = await listen(server);
  return {
    address: `127.0.0.1:${port}`,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function send(socket: Socket, { sends, hangsUp }: Pick<Case, 'sends' | 'hangsUp'>): void {
  for (const part of [sends].flat())
    if (part.length > 0) socket.write(typeof part === 'string' ? Buffer.from(part, 'latin1') : part);
  if (hangsUp) socket.end();
}

const ok = () => 'ok';
const kindOf = (error: unknown): string => {
  assert.ok(error instanceof MoorlineError, String(error));
  assert.notEqual(error.message, '');
  assert.doesNotMatch(error.message, /by a defect/);
  return error.kind;
};

/** How a client of each protocol gets on with a server. */
const CLIENTS = {
  async http(address: string) {
    const transport = new HttpTransport({ timeoutMs: LIMIT_MS });
    return transport
      .request({ url: `http://${address}/`, method: 'GET' })
      .then(ok, kindOf)
      .finally(() => transport.close());
  },
  async handshake(address: string) {
    const recording = new RecordedSocket({ url: `ws://${address}/`, connectTimeoutMs: LIMIT_MS });
    return recording
      .connect()
      .then(ok, kindOf)
      .finally(() => recording.transport.terminate());
  },
  async frames(address: string) {
    const recording = new RecordedSocket({
      url: `ws://${address}/`,
      closeTimeoutMs: 200,
      pingIntervalMs: 300,
      pingTimeoutMs: 300,
    });
    try {
      await recording.connect();
      await recording.end();
      const [closed] = recording.closed;
      return closed?.error ? kindOf(closed.error) : 'ok';
    } finally {
      recording.transport.terminate();
    }
  },
  async events(address: string) {
    const client = record({ url: `http://${address}/`, idleTimeoutMs: LIMIT_MS });
    try {
      await client.transport.connect();
      client.transport.ref?.();
      const closed = await client.closed();
      return closed.error ? kindOf(closed.error) : 'ok';
    } catch (error) {
      return kindOf(error);
    } finally {
      client.transport.close();
    }
  },
  async database(address: string) {
    const pool = new TursoPool({ url: `http://${address}`, queryTimeoutMs: LIMIT_MS });
    return pool
      .execute('SELECT 1')
      .then(ok, kindOf)
      .finally(() => pool.drain(0));
  },
};

const TABLES: Record<keyof typeof CLIENTS, Table> = {
  http: HTTP,
  handshake: HANDSHAKES,
  frames: FRAMES,
  events: EVENTS,
  database: DATABASE,
};

/** The end of a good handshake, before the frames of a case. */
function greet(protocol: string, socket: Socket, request: string): void {
  if (protocol !== 'frames') return;
  const key = /sec-websocket-key: (.*)\r/i.exec(request)?.[1] ?? '';
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  socket.write(upgraded(...UPGRADE, `Sec-WebSocket-Accept: ${accept}`));
}

async function meet(protocol: keyof typeof CLIENTS, answer: Pick<Case, 'sends' | 'hangsUp'>): Promise<string> {
  const server = await answering((socket, request) => {
    greet(protocol, socket, request);
    send(socket, answer);
  });
  let timer: NodeJS.Timeout | undefined;
  const timedOut = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('the call did not end')), 20_000);
  });
  try {
    return await Promise.race([CLIENTS[protocol](server.address), timedOut]);
  } finally {
    clearTimeout(timer);
    server.close();
  }
}

/** The bytes of a case with a few of them changed, doubled or left out. */
function mutated({ sends }: Case): Buffer {
  const parts = [sends].flat().map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part));
  const bytes = [...Buffer.concat(parts).subarray(0, 4096)];
  for (let change = Math.floor(next() * 4); change >= 0; change--) {
    const at = Math.floor(next() * (bytes.length + 1));
    const how = next();
    if (how < 0.4) bytes[at] = Math.floor(next() * 256);
    else if (how < 0.6) bytes.splice(at, 1 + Math.floor(next() * 8));
    else if (how < 0.8) bytes.splice(at, 0, ...bytes.slice(at, at + 1 + Math.floor(next() * 16)));
    else bytes.length = at;
  }
  return Buffer.from(bytes.map((byte) => byte ?? 0));
}

async function main(): Promise<void> {
  setLogger({});
  const until = performance.now() + forMs;
  const problems: string[] = [];
  let met = 0;
  for (const [protocol, table] of Object.entries(TABLES) as [keyof typeof CLIENTS, Table][]) {
    for (const [name, it] of Object.entries(table)) {
      const outcome = await meet(protocol, it).catch((error: unknown) => String(error));
      if (![it.ends].flat().includes(outcome))
        problems.push(`${protocol}, ${name}: ended in ${outcome}, not in ${String(it.ends)}`);
      met += 1;
    }
  }
  while (problems.length === 0 && performance.now() < until) {
    const protocol = pick(Object.keys(TABLES) as (keyof typeof CLIENTS)[], next);
    const name = pick(Object.keys(TABLES[protocol]), next);
    const sends = mutated(TABLES[protocol][name]!);
    await meet(protocol, { sends, hangsUp: true }).catch((error: unknown) => {
      problems.push(`${protocol}, ${name}, mutated to ${JSON.stringify(sends.toString('latin1'))}: ${String(error)}`);
    });
    met += 1;
  }
  writeSync(1, problems.length > 0 ? `seed ${seed}: ${problems.join('\n')}\n` : `${met} answers\n`);
  process.exit(problems.length > 0 ? 1 : 0);
}

const fail = (error: unknown): never => {
  writeSync(1, `seed ${seed}: ${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
};
process.on('unhandledRejection', fail);
process.on('uncaughtException', fail);
void main();
