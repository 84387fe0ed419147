// WebSocket messages of 64 bytes: one after the other, 64 on their way, and as fast as they come.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { WebSocket as UndiciWebSocket } from 'undici';
import WsWebSocket from 'ws';

import { bench, skipBench } from './harness.mjs';
import { message, MESSAGES } from './servers/websocket.mjs';

const { SocketTransport } = createRequire(import.meta.url)('../dist/websocket/transport.js');

const server = fork(join(import.meta.dirname, 'servers', 'websocket.mjs'));
const started = once(server, 'message').then(([port]) => port);
const failed = (code) => skipBench('websocket', `its server ended with ${code}`);
server.once('exit', failed);
const port = await started;
const url = `ws://127.0.0.1:${port}/`;
const FLOOD = 16 * MESSAGES;
const messages = Array.from({ length: MESSAGES }, (_, index) => message(index));

/** Each connects and answers with `{ send, close }`; `onMessage` gets every message as a string. */
const clients = {
  async moorline(onMessage) {
    const transport = new SocketTransport(
      { url },
      {
        onMessages(batch) {
          for (const text of batch) onMessage(text);
        },
        onClose() {},
      },
    );
    await transport.connect();
    transport.ref();
    return { send: (text) => transport.send(text), close: () => transport.close() };
  },
  async ws(onMessage) {
    const socket = new WsWebSocket(url, { perMessageDeflate: false });
    socket.on('message', (data) => onMessage(data.toString()));
    await once(socket, 'open');
    return { send: (text) => socket.send(text), close: () => socket.close() };
  },
  async undici(onMessage) {
    const socket = new UndiciWebSocket(url);
    socket.addEventListener('message', ({ data }) => onMessage(data));
    await once(socket, 'open');
    return { send: (text) => socket.send(text), close: () => socket.close() };
  },
};

/** A message and its echo. Echoes come in the order of their messages. */
async function openSocket(name) {
  const waiting = [];
  let [sent, received] = [0, 0];
  const client = await clients[name]((text) => {
    const slot = received++ % MESSAGES;
    if (text !== messages[slot]) throw new Error(`${name} received '${text}'`);
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
async function flood(name) {
  let [received, expected] = [0, 0];
  let done;
  const client = await clients[name]((text) => {
    if (text !== messages[received++ % MESSAGES]) throw new Error(`${name} received '${text}'`);
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

const contestants = (make) => () => Promise.all(Object.keys(clients).map(make));
await bench('websocket', [
  { name: 'pipe 1 64 B', operations: 5_000, concurrency: 1, contestants: contestants(openSocket) },
  { name: 'pipe 64 64 B', operations: 40_000, concurrency: 64, contestants: contestants(openSocket) },
  { name: 'flood 64 B', operations: 20, items: FLOOD, contestants: contestants(flood) },
]);
server.off('exit', failed);
server.disconnect();
