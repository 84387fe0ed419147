// The event stream transport behind the public face, a recorder of its events, and servers for it.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { afterEach } from 'node:test';

import type * as Sse from '../../lib/sse/transport';
import { eventually } from './eventually';
import { type RunningServer, serve } from './http';
import { dist } from './paths';

export const { Acknowledgements, EventStreamCursor, EventStreamTransport, SSEEvent } = require(
  join(dist, 'sse', 'transport.js'),
) as typeof Sse;
export type EventStreamTransport = Sse.EventStreamTransport;
export type Acknowledgements = Sse.Acknowledgements;

/** A transport, and everything it delivered. */
export interface RecordedStream {
  transport: EventStreamTransport;
  events: Sse.SSEEvent[];
  /** How many events came with each wake-up. */
  batches: number[];
  closes: Sse.EventStreamEnd[];
  /** Waits for the end of the stream. */
  closed(): Promise<Sse.EventStreamEnd>;
}

export function record(options: Sse.EventStreamOptions): RecordedStream {
  const events: Sse.SSEEvent[] = [];
  const batches: number[] = [];
  const closes: Sse.EventStreamEnd[] = [];
  const transport = new EventStreamTransport(options, {
    onEvents(batch) {
      batches.push(batch.length);
      events.push(...batch);
    },
    onClose: (closed) => closes.push(closed),
  });
  return { transport, events, batches, closes, closed: () => eventually(() => closes[0]) };
}

/** Node's own server, which answers with a stream; `write` does the rest. */
export function stream(write: (response: ServerResponse, request: IncomingMessage) => unknown): Promise<RunningServer> {
  return serve((request, response) => {
    response.on('error', () => undefined);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    void write(response, request);
  });
}

/** Transports and servers that are closed after each test. */
export function fixture(): {
  open: typeof record;
  autoClose: (server: Promise<RunningServer>) => Promise<RunningServer>;
} {
  let transports: EventStreamTransport[] = [];
  let servers: RunningServer[] = [];
  afterEach(async () => {
    for (const transport of transports) transport.close();
    await Promise.all(servers.map((server) => server.close()));
    transports = [];
    servers = [];
  });
  return {
    open(options) {
      const client = record(options);
      transports.push(client.transport);
      return client;
    },
    async autoClose(server) {
      servers.push(await server);
      return server;
    },
  };
}
