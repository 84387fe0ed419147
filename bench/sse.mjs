// Small events pushed by one server process as fast as they are read, by the usual clients: given to a function, and
// iterated over by those that can be. Every event is checked.
//
// The harness counts operations that are awaited one by one; a stream is none. An operation here is a stream of
// EVENTS events, and the figures are divided by their number.
import { fork } from 'node:child_process';
import { createServer } from 'node:net';

import { bench, load, skipBench } from './harness.mjs';

const EVENTS = 20_000;
const text = (n) => `{"n":${n},"text":"some small payload","ok":true}`;

if (process.argv[2] === 'server') {
  // What node:http would write, a chunk for each event and some together as the system sends them where they pile up,
  // written down beforehand: the clients are measured, not the server.
  const chunk = (event) => `${Buffer.byteLength(event).toString(16)}\r\n${event}\r\n`;
  const blocks = [];
  for (let n = 0; n < EVENTS;) {
    let block = '';
    for (const last = Math.min(n + 16, EVENTS); n < last; n++) block += chunk(`id: ${n}\ndata: ${text(n)}\n\n`);
    blocks.push(Buffer.from(block));
  }
  const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';
  const server = createServer((socket) => {
    socket.setNoDelay(true).on('error', () => undefined);
    socket.on('data', () => {
      socket.write(head);
      let at = 0;
      const push = () => {
        while (at < blocks.length) if (!socket.write(blocks[at++])) return socket.once('drain', push);
        socket.write('0\r\n\r\n');
      };
      push();
    });
  });
  server.listen(0, '127.0.0.1', () => process.send(server.address().port));
  process.on('disconnect', () => process.exit(0));
} else {
  const server = fork(new URL(import.meta.url), ['server'], { stdio: 'inherit' });
  const port = await new Promise((resolve, reject) => {
    server.once('message', resolve).once('exit', () => reject(new Error('its server ended')));
  }).catch((error) => skipBench('sse', error.message));
  const url = `http://127.0.0.1:${port}/`;

  const { SSEConnection } = load('moorline');
  const { eventStreamEngine } = await import('./engines.mjs');
  const undici = await import('undici');
  const { createParser } = await import('eventsource-parser');
  const { EventSource } = await import('eventsource');
  const { createEventSource } = await import('eventsource-client');

  /** Counts events, and resolves when all have come in order. */
  function counter(name) {
    let seen = 0;
    let resolve;
    let reject;
    const done = new Promise((...both) => ([resolve, reject] = both));
    return {
      done,
      fail: reject,
      event(data, id) {
        if (data !== text(seen) || id !== String(seen)) reject(new Error(`${name} read event ${seen} wrong`));
        seen += 1;
        if (seen === EVENTS) resolve();
      },
    };
  }

  /** A connection, which `subscribe` reads from before it opens. */
  async function connected(subscribe = () => {}) {
    const connection = new SSEConnection({ url });
    subscribe(connection);
    if (!(await connection.connect())) throw new Error('moorline does not connect');
    return connection;
  }

  const byParser = {
    name: 'undici + eventsource-parser',
    async operation() {
      const { done, event } = counter('eventsource-parser');
      const parser = createParser({ onEvent: ({ data, id }) => event(data, id) });
      const decoder = new TextDecoder();
      const { body } = await undici.request(url);
      for await (const chunk of body) parser.feed(decoder.decode(chunk, { stream: true }));
      await done;
    },
  };

  /** It cannot be iterated over, and stands beside what can. */
  const byEngine = {
    name: 'engine',
    async operation() {
      const { done, event, fail } = counter('engine');
      const stream = await eventStreamEngine(url, ({ data, lastEventId }) => event(data, lastEventId), fail);
      await done;
      stream.close();
    },
  };

  const byFunction = () => [
    {
      name: 'moorline',
      async operation() {
        const { done, event } = counter('moorline');
        const onMessage = ({ data, lastEventId }) => event(data, lastEventId);
        const connection = await connected((one) => one.onMessage(onMessage));
        await done;
        await connection.disconnect();
      },
    },
    byEngine,
    byParser,
    {
      name: 'eventsource',
      async operation() {
        const { done, event } = counter('eventsource');
        const source = new EventSource(url);
        source.onmessage = ({ data, lastEventId }) => event(data, lastEventId);
        await done;
        source.close();
      },
    },
    {
      name: 'eventsource-client',
      async operation() {
        const { done, event } = counter('eventsource-client');
        const source = createEventSource({ url, onMessage: ({ data, id }) => event(data, id) });
        await done;
        source.close();
      },
    },
  ];

  const iterated = () => [
    {
      name: 'moorline',
      async operation() {
        const { done, event } = counter('moorline');
        const connection = await connected();
        let left = EVENTS;
        for await (const { data, lastEventId } of connection) {
          event(data, lastEventId);
          if (--left === 0) break;
        }
        await done;
        await connection.disconnect();
      },
    },
    byEngine,
    byParser,
    {
      name: 'eventsource-client',
      async operation() {
        const { done, event } = counter('eventsource-client');
        const source = createEventSource({ url });
        let left = EVENTS;
        for await (const { data, id } of source) {
          event(data, id);
          if (--left === 0) break;
        }
        await done;
        source.close();
      },
    },
  ];

  await bench('sse', [
    { name: 'events', operations: 10, items: EVENTS, contestants: byFunction },
    { name: 'events for await', operations: 10, items: EVENTS, contestants: iterated },
  ]);
  await undici.getGlobalDispatcher().close();
  server.disconnect();
}
