// The HTTP transport behind the public face, and servers for it.
import { once } from 'node:events';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';

import type * as Http from '../../lib/http/transport';
import { listen } from './ports';
import { dist } from './paths';

export const { HttpTransport } = require(join(dist, 'http', 'transport.js')) as typeof Http;
export type HttpTransport = Http.HttpTransport;

/** A server on loopback, ended by `close` with all of its connections. */
export interface Running {
  port: number;
  url: string;
  /** Connections so far. */
  accepted(): number;
  /** Connections now. */
  open(): number;
  close(): Promise<void>;
}

async function run(server: Server, scheme: string): Promise<Running> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  server.on('connection', (socket: Socket) => {
    accepted += 1;
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  const port = await listen(server);
  return {
    port,
    url: `${scheme}://127.0.0.1:${port}`,
    accepted: () => accepted,
    open: () => sockets.size,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Node's own HTTP server. */
export function serve(listener: RequestListener): Promise<Running> {
  return run(createHttpServer(listener), 'http');
}

/** A server that speaks whatever `serveRaw` writes, once a request's head (and its body's bytes so far) came. */
export function serveRaw(
  onConnection: (socket: Socket, head: string, turn: number) => void | Promise<void>,
): Promise<Running> {
  const server = createServer((socket) => {
    let turn = 0;
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => void onConnection(socket, bytes.toString('latin1'), turn++));
  });
  return run(server, 'http');
}

/** Any server that is not listening yet. */
export function start(server: Server, scheme = 'https'): Promise<Running> {
  return run(server, scheme);
}
