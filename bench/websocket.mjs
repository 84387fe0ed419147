// WebSocket messages of 64 bytes: one after the other, 64 on their way, and as fast as they come. They are JSON, which
// every client parses, or text that is none.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

import { WebSocket as UndiciWebSocket } from 'undici';
import WsWebSocket from 'ws';

import { webSocketEngine } from './engines.mjs';
import { bench, failBench, load, skipBench } from './harness.mjs';
import { FORMS, MESSAGES } from './servers/websocket.mjs';

const { WebSocketConnection } = load('moorline');

const server = fork(join(import.meta.dirname, 'servers', 'websocket.mjs'));
const started = once(server, 'message').then(([port]) => port);
const failed = (code) => skipBench('websocket', `its server ended with ${code}`);
server.once('exit', failed);
const port = await started;
const FLOOD = 16 * MESSAGES;

/** Each connects and answers with `{ send, close }`; `onMessage` gets every message as `read` makes it of the text. */
const clients = {
  async moorline(url, read, onMessage) {
    const connection = new WebSocketConnection({ url });
    // JSON is parsed already; text that is none comes in an object.
    connection.onMessage(read === JSON.parse ? onMessage : ({ text }) => onMessage(text));
    if (!(await connection.connect())) failBench('websocket', 'moorline does not connect');
    return { send: (text) => connection.send(text), close: () => connection.disconnect() };
  },
  engine: (url, read, onMessage) => webSocketEngine(url, (text) => onMessage(read(text))),
  async ws(url, read, onMessage) {
    const socket = new WsWebSocket(url, { perMessageDeflate: false });
    socket.on('message', (data) => onMessage(read(data.toString())));
    await once(socket, 'open');
    return { send: (text) => socket.send(text), close: () => socket.close() };
  },
  async undici(url, read, onMessage) {
    const socket = new UndiciWebSocket(url);
    socket.addEventListener('message', ({ data }) => onMessage(read(data)));
    await once(socket, 'open');
    return { send: (text) => socket.send(text), close: () => socket.close() };
  },
};

/** The messages of a form, how they are read, and the check of the one that was received in the place of `index`. */
function formOf(form) {
  const messages = Array.from({ length: MESSAGES }, (_, index) => FORMS[form](index));
  const read = form === 'json' ? JSON.parse : (text) => text;
  const values = messages.map((text) => read(text));
  const isRight = {
    json: (value, index) => value.n === index && value.text === values[index].text,
    text: (value, index) => value === values[index],
  }[form];
  const check = (name, value, index) => {
    // What a handler throws may end nothing.
    if (!isRight(value, index)) failBench('websocket', `${name} received ${JSON.stringify(value)}`);
  };
  return { messages, read, check, url: `ws://127.0.0.1:${port}/${form}` };
}

/** A message and its echo. Echoes come in the order of their messages. */
async function openSocket(name, { messages, read, check, url }) {
  const waiting = [];
  let [sent, received] = [0, 0];
  const client = await clients[name](url, read, (value) => {
    const slot = received++ % MESSAGES;
    check(name, value, slot);
    waiting[slot]();
  });
  const operation = () =>
    new Promise((resolve) => {
      const slot = sent++ % MESSAGES;
      waiting[slot] = resolve;
      client.send(messages[slot]);
    });
  return { name, operation, close: client.close };
}

/** Sixteen floods of messages. */
async function flood(name, { read, check, url }) {
  let [received, expected] = [0, 0];
  let done;
  const client = await clients[name](url, read, (value) => {
    check(name, value, received++ % MESSAGES);
    if (received === expected) done();
  });
  const operation = () =>
    new Promise((resolve) => {
      done = resolve;
      expected += FLOOD;
      for (let ordered = 0; ordered < FLOOD; ordered += MESSAGES) client.send('more');
    });
  return { name, operation, close: client.close };
}

const contestants = (make, form) => () => Promise.all(Object.keys(clients).map((name) => make(name, formOf(form))));
const cases = (form) => [
  { name: 'pipe 1 64 B', operations: 5_000, concurrency: 1, contestants: contestants(openSocket, form) },
  { name: 'pipe 64 64 B', operations: 40_000, concurrency: 64, contestants: contestants(openSocket, form) },
  { name: 'flood 64 B', operations: 20, items: FLOOD, contestants: contestants(flood, form) },
];
await bench('websocket', [
  ...cases('json'),
  ...cases('text').map((textCase) => ({ ...textCase, name: `${textCase.name} text` })),
]);
server.off('exit', failed);
server.disconnect();
