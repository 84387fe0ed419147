// Servers of `ws`, plain and over TLS, which do what a test tells them, and sockets that are ended after it.
import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { Socket } from 'node:net';
import { after, afterEach, before } from 'node:test';

import { Authority } from './certificates';
import { peer } from './peers';
import { listen } from './ports';
import { RecordedSocket, type SocketOptions } from './websocket';

/** What a bound may be exceeded by. */
export const SLACK_MS = process.env['CI'] ? 1000 : 100;

/** Sends everything back as it came. */
const echo = (socket: any) => {
  socket.on('message', (data: Buffer, binary: boolean) => socket.send(data, { binary }));
};

/** The servers of one `describe`, whose hooks it registers. */
export class SocketFixture {
  readonly authority = new Authority();
  port = 0;
  securePort = 0;
  /** What the server does with a new connection; by default it echoes. */
  serve: (socket: any, request: IncomingMessage) => void = echo;
  serverOptions: Record<string, unknown> = {};
  /** Takes the place of the handshake. */
  refuse: ((socket: Socket) => void) | undefined;
  #open: RecordedSocket[] = [];

  constructor() {
    const http = createServer();
    const https = createSecureServer(this.authority.issue(['IP:127.0.0.1']));
    before(async () => {
      for (const server of [http, https]) {
        server.on('upgrade', await this.#accept());
      }
      this.port = await listen(http);
      this.securePort = await listen(https);
    });
    after(() => {
      http.close().closeAllConnections();
      https.close().closeAllConnections();
      this.authority.remove();
    });
    afterEach(() => {
      for (const recording of this.#open) recording.transport.terminate();
      this.#open = [];
      this.serve = echo;
      this.serverOptions = {};
      this.refuse = undefined;
    });
  }

  async #accept() {
    const { WebSocketServer } = await peer('ws');
    return (request: IncomingMessage, socket: Socket, head: Buffer) => {
      if (this.refuse) return this.refuse(socket);
      const server = new WebSocketServer({ noServer: true, maxPayload: 0, ...this.serverOptions });
      server.handleUpgrade(request, socket, head, (client: any) => {
        client.on('error', () => undefined);
        this.serve(client, request);
      });
    };
  }

  /** A socket that is not connected yet. */
  create(options: Partial<SocketOptions> = {}): RecordedSocket {
    const recording = new RecordedSocket({ url: `ws://127.0.0.1:${this.port}/`, ...options });
    this.#open.push(recording);
    return recording;
  }

  async connect(options?: Partial<SocketOptions>): Promise<RecordedSocket> {
    const recording = this.create(options);
    await recording.connect();
    return recording;
  }
}
