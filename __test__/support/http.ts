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
export interface RunningServer {
  port: number;
  url: string;
  /** Connections so far. */
  acceptedConnections(): number;
  /** Connections now. */
  openConnections(): number;
  close(): Promise<void>;
}

/** Starts any server that is not listening yet. */
export async function startServer(server: Server, scheme = 'https'): Promise<RunningServer> {
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
    acceptedConnections: () => accepted,
    openConnections: () => sockets.size,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Node's own HTTP server. */
export function serve(listener: RequestListener): Promise<RunningServer> {
  return startServer(createHttpServer(listener), 'http');
}

/** A server that writes what `onChunk` does, which is called with each chunk of a request as it comes. */
export function serveRaw(
  onChunk: (socket: Socket, head: string, chunkIndex: number) => void | Promise<void>,
): Promise<RunningServer> {
  const server = createServer((socket) => {
    let chunkIndex = 0;
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => void onChunk(socket, bytes.toString('latin1'), chunkIndex++));
  });
  return startServer(server, 'http');
}
