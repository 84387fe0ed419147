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

const [seed = 1, durationMs = 5000] = process.argv.slice(2, 4).map(Number);
const random = seededRandom(seed);

/** What a server sends, whether it hangs up then, and in what that has to end: a kind of error, or `ok`. */
interface Case {
  sends: string | Buffer | (string | Buffer)[];
  expected: string | readonly string[];
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
  'an answer': { sends: json({}), expected: 'ok' },
  'no HTTP': { sends: '\x00\x01\x02 nothing\r\n\r\n', expected: 'protocol' },
  'an unknown version': { sends: 'HTTP/9.9 200 OK\r\n\r\n', expected: 'protocol' },
  'a status of letters': { sends: 'HTTP/1.1 abc OK\r\n\r\n', expected: 'protocol' },
  'a status of seven digits': { sends: 'HTTP/1.1 2000000 OK\r\n\r\n', expected: 'protocol' },
  'a cut status line': { sends: 'HTTP/1.1 2', expected: ['disconnected', 'protocol'], hangsUp: true },
  'a header without a colon': { sends: head('nothing', 'Content-Length: 0'), expected: 'protocol' },
  'a header with NUL': { sends: head('a: \0', 'Content-Length: 0'), expected: 'protocol' },
  'headers without end': { sends: head().slice(0, -2) + 'a: b\r\n'.repeat(200_000), expected: 'protocol' },
  'a negative length': { sends: head('Content-Length: -1'), expected: 'protocol' },
  'a length over 64 bits': { sends: head('Content-Length: 99999999999999999999'), expected: 'protocol' },
  'two lengths': { sends: head('Content-Length: 1', 'Content-Length: 2') + 'ab', expected: 'protocol' },
  'a chunk of no size': { sends: head('Transfer-Encoding: chunked') + 'zz\r\n', expected: 'protocol' },
  'a chunk over 64 bits': { sends: head('Transfer-Encoding: chunked') + 'fffffffffffffffff\r\n', expected: 'protocol' },
  'a chunk that goes on': { sends: head('Transfer-Encoding: chunked') + '1\r\nabc', expected: 'protocol' },
  'a short body': { sends: head('Content-Length: 9') + 'abc', expected: ['disconnected', 'protocol'], hangsUp: true },
  'a body that stops': { sends: head('Content-Length: 9') + 'abc', expected: 'timeout' },
  'no gzip': { sends: head('Content-Encoding: gzip', 'Content-Length: 3') + 'abc', expected: 'protocol' },
  'a cut gzip': {
    sends: [head('Content-Encoding: gzip', 'Connection: close'), gzipSync('x'.repeat(1000)).subarray(0, 12)],
    expected: 'protocol',
    hangsUp: true,
  },
  'many 100s': { sends: 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(100) + json({}), expected: ['ok', 'protocol'] },
  'a switch of protocols': { sends: 'HTTP/1.1 101 Switching Protocols\r\n\r\n', expected: ['ok', 'protocol'] },
  nothing: { sends: '', expected: 'timeout' },
  'the end': { sends: '', expected: ['disconnected', 'protocol'], hangsUp: true },
};

const frame = (first: number, ...rest: (number | string)[]) =>
  Buffer.concat([
    Buffer.from([first]),
    ...rest.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from([part]))),
  ]);

/** After a good handshake. */
const FRAMES: Table = {
  'a close': { sends: frame(0x88, 2, '\x03\xe8'), expected: 'ok' },
  'a reserved bit': { sends: frame(0xc1, 1, 'a'), expected: 'protocol' },
  'an unknown opcode': { sends: frame(0x83, 0), expected: 'protocol' },
  'a masked frame': { sends: frame(0x81, 0x81, '\0\0\0\0a'), expected: 'protocol' },
  'a fragmented control frame': { sends: frame(0x09, 0), expected: 'protocol' },
  'a long ping': { sends: frame(0x89, 126, '\0\x80', 'x'.repeat(128)), expected: 'protocol' },
  'text that is no UTF-8': { sends: frame(0x81, 2, '\xc3\x28'), expected: 'protocol' },
  'a continuation of no message': { sends: frame(0x80, 1, 'a'), expected: 'protocol' },
  'a message within a message': { sends: [frame(0x01, 1, 'a'), frame(0x81, 1, 'b')], expected: 'protocol' },
  'a length over 63 bits': { sends: frame(0x82, 127, '\xff\xff\xff\xff\xff\xff\xff\xff'), expected: 'protocol' },
  'a length of many gigabytes': {
    sends: frame(0x82, 127, '\0\0\x7f\xff\xff\xff\xff\xff'),
    expected: ['protocol', 'overloaded', 'rejected'],
  },
  'a close of one byte': { sends: frame(0x88, 1, 'a'), expected: 'protocol' },
  'a close with a code nobody may send': { sends: frame(0x88, 2, '\x03\xed'), expected: 'protocol' },
  'a close whose reason is no UTF-8': { sends: frame(0x88, 4, '\x03\xe8\xc3\x28'), expected: 'protocol' },
  'a cut frame': { sends: frame(0x82, 9, 'a'), expected: 'disconnected', hangsUp: true },
  'the end': { sends: '', expected: 'disconnected', hangsUp: true },
};

const switchingProtocols = (...lines: string[]) =>
  `HTTP/1.1 101 Switching Protocols\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
const UPGRADE = ['Upgrade: websocket', 'Connection: Upgrade'];

const HANDSHAKES: Table = {
  'a refusal': { sends: head('Content-Length: 0'), expected: 'rejected' },
  'no HTTP': { sends: '\x00\x01\r\n\r\n', expected: 'protocol' },
  'a wrong accept': { sends: switchingProtocols(...UPGRADE, 'Sec-WebSocket-Accept: AAAA'), expected: 'protocol' },
  'no upgrade': { sends: switchingProtocols('Sec-WebSocket-Accept: AAAA'), expected: 'protocol' },
  'headers without end': {
    sends: switchingProtocols().slice(0, -2) + 'a: b\r\n'.repeat(200_000),
    expected: 'protocol',
  },
  'the end': { sends: '', expected: 'connect', hangsUp: true },
  nothing: { sends: '', expected: 'timeout' },
};

const stream = (...sends: (string | Buffer)[]) => [head('Content-Type: text/event-stream'), ...sends];

/** A stream that ends is `ok`: the listener is told so, without a failure. */
const EVENTS: Table = {
  'an event': { sends: stream('data: a\n\n'), expected: ['ok', 'disconnected'], hangsUp: true },
  'no event stream': { sends: json({}), expected: 'protocol' },
  'a line without end': { sends: stream('data: ' + 'x'.repeat(3 << 20)), expected: 'protocol' },
  'an event without end': { sends: stream('data: xxxxxxxxx\n'.repeat(300_000)), expected: 'protocol' },
  'bytes that are no UTF-8': {
    sends: stream(Buffer.from('data: \xff\xfe\xc3\x28\n\n', 'latin1')),
    expected: ['ok', 'disconnected'],
    hangsUp: true,
  },
  'a NUL and odd fields': {
    sends: stream('id: \0\nretry: 99999999999999999999\nretry: -1\n:\n\n\n\rdata\n\n'),
    expected: ['ok', 'disconnected'],
    hangsUp: true,
  },
  'a broken chunk': {
    sends: [head('Content-Type: text/event-stream', 'Transfer-Encoding: chunked'), 'zz\r\n'],
    expected: ['protocol', 'disconnected'],
  },
  'an error': { sends: 'HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n', expected: 'rejected' },
};

const executeResponse = (result: unknown) => ({
  baton: null,
  base_url: null,
  results: [
    { type: 'ok', response: { type: 'execute', result } },
    { type: 'ok', response: { type: 'close' } },
  ],
});
const oneRowResult = (...values: unknown[]) => ({
  cols: values.map((_, n) => ({ name: `c${n}` })),
  rows: [values],
  affected_row_count: 0,
  last_insert_rowid: null,
});

const DATABASE: Table = {
  'no JSON': { sends: json('nothing'), expected: 'protocol' },
  'half a JSON': { sends: json('{"baton":null,"results":['), expected: 'protocol' },
  'no results': { sends: json({}), expected: 'protocol' },
  'results of nothing': { sends: json({ baton: null, base_url: null, results: [] }), expected: 'protocol' },
  'a result of another type': {
    sends: json({ baton: null, base_url: null, results: [{ type: 'ok', response: { type: 'batch', result: {} } }] }),
    expected: 'protocol',
  },
  'a value of no type': { sends: json(executeResponse(oneRowResult({ type: 'unknown' }))), expected: 'protocol' },
  'an invalid integer': {
    sends: json(executeResponse(oneRowResult({ type: 'integer', value: 'x' }))),
    expected: 'protocol',
  },
  'an integer over 64 bits': {
    sends: json(executeResponse(oneRowResult({ type: 'integer', value: '99999999999999999999' }))),
    expected: 'protocol',
  },
  'a blob that is no base64': {
    sends: json(executeResponse(oneRowResult({ type: 'blob', base64: '%%%' }))),
    expected: 'protocol',
  },
  'deep nesting': { sends: json('['.repeat(100_000)), expected: 'protocol' },
  'a page of HTML': { sends: head('Content-Type: text/html', 'Content-Length: 6') + '<html>', expected: 'protocol' },
  'an error of no shape': {
    sends: 'HTTP/1.1 400 Bad\r\nContent-Length: 3\r\n\r\n{"e',
    expected: ['rejected', 'protocol'],
  },
  'the end': { sends: '', expected: ['disconnected', 'protocol', 'connect'], hangsUp: true },
};

/** A server that gives each connection the same answer. */
async function startServer(answer: (socket: Socket, request: string) => void) {
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
function acceptHandshake(protocol: string, socket: Socket, request: string): void {
  if (protocol !== 'frames') return;
  const key = /sec-websocket-key: (.*)\r/i.exec(request)?.[1] ?? '';
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  socket.write(switchingProtocols(...UPGRADE, `Sec-WebSocket-Accept: ${accept}`));
}

async function runCase(protocol: keyof typeof CLIENTS, answer: Pick<Case, 'sends' | 'hangsUp'>): Promise<string> {
  const server = await startServer((socket, request) => {
    acceptHandshake(protocol, socket, request);
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
function mutate({ sends }: Case): Buffer {
  const parts = [sends].flat().map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part));
  const bytes = [...Buffer.concat(parts).subarray(0, 4096)];
  for (let change = Math.floor(random() * 4); change >= 0; change--) {
    const at = Math.floor(random() * (bytes.length + 1));
    const how = random();
    if (how < 0.4) bytes[at] = Math.floor(random() * 256);
    else if (how < 0.6) bytes.splice(at, 1 + Math.floor(random() * 8));
    else if (how < 0.8) bytes.splice(at, 0, ...bytes.slice(at, at + 1 + Math.floor(random() * 16)));
    else bytes.length = at;
  }
  return Buffer.from(bytes.map((byte) => byte ?? 0));
}

async function main(): Promise<void> {
  setLogger({});
  const until = performance.now() + durationMs;
  const problems: string[] = [];
  let casesRun = 0;
  for (const [protocol, table] of Object.entries(TABLES) as [keyof typeof CLIENTS, Table][]) {
    for (const [name, testCase] of Object.entries(table)) {
      const outcome = await runCase(protocol, testCase).catch((error: unknown) => String(error));
      if (![testCase.expected].flat().includes(outcome))
        problems.push(`${protocol}, ${name}: ended in ${outcome}, not in ${String(testCase.expected)}`);
      casesRun += 1;
    }
  }
  while (problems.length === 0 && performance.now() < until) {
    const protocol = pick(Object.keys(TABLES) as (keyof typeof CLIENTS)[], random);
    const name = pick(Object.keys(TABLES[protocol]), random);
    const sends = mutate(TABLES[protocol][name]!);
    await runCase(protocol, { sends, hangsUp: true }).catch((error: unknown) => {
      problems.push(`${protocol}, ${name}, mutated to ${JSON.stringify(sends.toString('latin1'))}: ${String(error)}`);
    });
    casesRun += 1;
  }
  writeSync(1, problems.length > 0 ? `seed ${seed}: ${problems.join('\n')}\n` : `${casesRun} answers\n`);
  process.exit(problems.length > 0 ? 1 : 0);
}

const fail = (error: unknown): never => {
  writeSync(1, `seed ${seed}: ${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
};
process.on('unhandledRejection', fail);
process.on('uncaughtException', fail);
void main();
