import { HTTPConnection, type MessageOptions, setLogger, SSEConnection, WebSocketConnection } from 'moorline';

import type { RunningSubject, Subject } from '../contract';
import {
  NO_EVENTS_PATH,
  ENDLESS_PATH,
  ONE_EVENT_PATH,
  UNANSWERED_PATH,
  startConnections,
} from '../../support/connection-process';
import { peersMissing } from '../../support/peers';

const noClose = 'disconnect can be undone: what comes after it opens the connection anew, or is refused with false';
const noHold = 'it lends nothing';
/** Nobody answers there. */
const NOBODY = 'http://127.0.0.1:1';

/** Requests to a server on this machine. */
export const httpConnection: Subject = {
  name: 'HTTPConnection',
  service: 'http',
  lacks: { close: noClose, hold: noHold, refuse: 'its circuit breaker refuses, in its own name' },
  skipReason: peersMissing,
  serve: startConnections,
  start(url, concurrency = 1): RunningSubject {
    setLogger({});
    // However many fail, it is the breaker that is not to be noticed here.
    const connection = new HTTPConnection({
      url,
      maxConnections: concurrency,
      circuitBreaker: false,
      autoRetry: false,
    });
    return {
      operate: (options) => connection.request({}, options),
      fail: () => connection.request({ url: NOBODY }),
      stall: (options) => connection.request({ url: UNANSWERED_PATH, timeoutMs: 1000 }, options),
    };
  },
  async runLifetime(url) {
    const connection = new HTTPConnection({ url });
    await connection.connect();
    await connection.request({});
    await connection.disconnect();
  },
};

const noErrors = 'its verbs never reject: a failure is an event';
const noRefuse = 'its circuit breaker refuses with false';
const noSignal = 'only receive takes one';

/** Sockets to a server that sends everything back. */
export const webSocketConnection: Subject = {
  name: 'WebSocketConnection',
  service: 'websocket',
  lacks: { close: noClose, hold: noHold, refuse: noRefuse, errors: noErrors, signal: noSignal },
  skipReason: peersMissing,
  serve: startConnections,
  async start(url, concurrency = 1) {
    setLogger({});
    const open = () => connectOrThrow(new WebSocketConnection({ url, circuitBreaker: false }));
    // Two hundred of them, where a hundred work at a time.
    const connections = await Promise.all(Array.from({ length: 2 * concurrency }, open));
    let turn = 0;
    return {
      async operate() {
        const connection = connections[turn++ % connections.length]!;
        await connection.send({ n: turn });
        await connection.receive();
      },
      fail: () => connections[0]!.send(undefined),
      stall: (options) => receiveInVain(connections[0]!, options),
    };
  },
  async runLifetime(url) {
    const connection = await connectOrThrow(new WebSocketConnection({ url }));
    await connection.send({ n: 1 });
    await connection.receive();
    await connection.disconnect();
  },
};

/** Streams of events that a server sends without an end. */
export const sseConnection: Subject = {
  name: 'SSEConnection',
  service: 'sse',
  lacks: { close: noClose, hold: noHold, refuse: noRefuse, errors: noErrors, signal: noSignal },
  skipReason: peersMissing,
  serve: startConnections,
  async start(url, concurrency = 1) {
    setLogger({});
    const open = (path: string) => connectOrThrow(new SSEConnection({ url: `${url}${path}` }));
    // A few only: what the system keeps of each while it waits can be tens of megabytes.
    const connections = await Promise.all(Array.from({ length: Math.min(concurrency, 2) }, () => open(ENDLESS_PATH)));
    const eventless = await open(NO_EVENTS_PATH);
    let turn = 0;
    return {
      operate: () => connections[turn++ % connections.length]!.receive(),
      fail: () => eventless.send(undefined),
      stall: (options) => receiveInVain(eventless, options),
    };
  },
  async runLifetime(url) {
    const connection = await connectOrThrow(new SSEConnection({ url: `${url}${ONE_EVENT_PATH}` }));
    await connection.receive();
    await connection.disconnect();
  },
};

async function connectOrThrow<C extends WebSocketConnection | SSEConnection>(connection: C): Promise<C> {
  if (await connection.connect()) return connection;
  throw new Error(connection.getStatus().lastError);
}

function receiveInVain(connection: { receive(options: MessageOptions): Promise<unknown> }, options?: MessageOptions) {
  return connection.receive({ ...options, timeoutMs: 1000 });
}
