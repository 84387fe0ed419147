// Servers for connections, and a recorder of the events of a connection.
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Server } from 'node:net';
import type { TestContext } from 'node:test';

import { type BaseConnection, type ConnectionConfig, type ConnectionEvent, type LogRecord, setLogger } from 'moorline';

import { eventually } from './eventually';
import { type RunningServer, startServer } from './http';
import { peer } from './peers';

/** A connection that is closed when its test ends. */
export function closeAfter<C extends BaseConnection>(t: TestContext, connection: C): C {
  t.after(() => connection.disconnect());
  return connection;
}

/** The events of a type. */
type EventOf<Type extends string> = Extract<ConnectionEvent, { eventType: Type }>;

/** Records the events of a connection from now on. */
export class EventRecorder {
  readonly events: ConnectionEvent[] = [];

  constructor(source: BaseConnection) {
    source.onEvent((event) => {
      assert.equal(event.connectionId, source.connectionId);
      assert.match(event.eventId, /^[0-9a-f]{8}-/);
      assert.ok(Math.abs(event.timestamp - Date.now()) < 5000);
      this.events.push(event);
    });
  }

  /** The events of one type. */
  of<Type extends string>(type: Type): EventOf<Type>[] {
    return this.events.filter(({ eventType }) => eventType === type) as EventOf<Type>[];
  }

  /** How many of them there were. */
  count(type: string): number {
    return this.of(type).length;
  }

  /** The states it went through. */
  get states(): unknown[] {
    return this.of('state_changed').map(({ data }) => data.new_state);
  }

  /** The last event of a type, once there were so many. */
  async until<Type extends string>(type: Type, count = 1): Promise<EventOf<Type>> {
    await eventually(() => this.count(type) >= count, 10_000);
    return this.of(type).at(-1)!;
  }
}

/** Makes the connections of a file's tests, with a recorder of its events from the beginning. */
export class ConnectionFactory<C extends BaseConnection> {
  readonly #create: (config: ConnectionConfig) => C;
  #connections: C[] = [];

  constructor(create: (config: ConnectionConfig) => C) {
    this.#create = create;
  }

  readonly make = (config: ConnectionConfig = {}) => {
    const connection = this.#create(config);
    this.#connections.push(connection);
    return { connection, recorder: new EventRecorder(connection) };
  };

  /** One that is open. */
  readonly open = async (config?: ConnectionConfig) => {
    const opened = this.make(config);
    assert.equal(await opened.connection.connect(), true);
    return opened;
  };

  /** Closes all that were made. */
  async close(): Promise<void> {
    await Promise.all(this.#connections.splice(0).map((connection) => connection.disconnect()));
  }
}

/** What is logged while a test runs; nothing of it is printed. */
export function captureLogs(t: TestContext): LogRecord[] {
  const written: LogRecord[] = [];
  const write = (record: LogRecord) => void written.push(record);
  setLogger({ debug: write, info: write, warn: write, error: write });
  t.after(() => setLogger({}));
  return written;
}

/** A server of WebSockets. */
export interface SocketServer extends RunningServer {
  /** The sockets that are open, in the order they came; `ws`'s own. */
  sockets: any[];
  /** The requests that were upgraded. */
  handshakes: IncomingMessage[];
}

/** Sends everything back as it came. */
function echo(socket: any): void {
  socket.on('message', (data: Buffer, binary: boolean) => socket.send(data, { binary }));
}

/** Starts `ws` on a server of Node's: an HTTP one unless given. */
export async function socketServer(
  onSocket: (socket: any, request: IncomingMessage) => void = echo,
  options: Record<string, unknown> = {},
  server: Server = createServer(),
): Promise<SocketServer> {
  const { WebSocketServer } = await peer('ws');
  const sockets: any[] = [];
  const handshakes: IncomingMessage[] = [];
  // Only once it listens: from then on errors of the server are ws's own, and a port in use would go unnoticed.
  const running = await startServer(server, 'key' in server ? 'wss' : 'ws');
  const webSockets = new WebSocketServer({ server, ...options });
  webSockets.on('connection', (socket: any, request: IncomingMessage) => {
    handshakes.push(request);
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.splice(sockets.indexOf(socket), 1));
    onSocket(socket, request);
  });
  return { ...running, sockets, handshakes };
}

/** A server of events. */
export interface EventServer extends RunningServer {
  /** The streams that are open. */
  streams: ServerResponse[];
  requests: IncomingMessage[];
  /** Writes to every open stream. */
  send(text: string): void;
}

/** Starts a server that answers each request with a stream of events, unless `refuse` answers it. */
export async function eventServer(
  refuse: (request: IncomingMessage, response: ServerResponse) => boolean = () => false,
): Promise<EventServer> {
  const streams: ServerResponse[] = [];
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    if (refuse(request, response)) return;
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    streams.push(response);
    response.on('close', () => streams.splice(streams.indexOf(response), 1));
  });
  const running = await startServer(server, 'http');
  return { ...running, streams, requests, send: (text) => streams.forEach((stream) => stream.write(text)) };
}
