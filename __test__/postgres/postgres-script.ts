// A server that speaks PostgreSQL's protocol as a test tells it to.
import { createServer, type Server, type Socket } from 'node:net';

import { listen } from '../support/ports';

/** A message of the protocol. */
export function message(tag: string, ...parts: (string | Buffer)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
  const head = Buffer.alloc(5, tag);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

export const int16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
};
export const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};

/** The server is ready for the next statement, in no transaction. */
export const READY = message('Z', 'I');
/** A user has logged in, without a password. */
export const LOGIN = Buffer.concat([
  message('R', int32(0)),
  message('S', 'server_version\0', '15.0\0'),
  message('K', int32(1), int32(2)),
  READY,
]);
/** A result of these texts, a row each. */
export function result(...texts: string[]): Buffer {
  const field = ['n\0', int32(0), int16(0), int32(25), int16(-1), int32(-1), int16(0)];
  const rows = texts.map((text) => message('D', int16(1), int32(Buffer.byteLength(text)), text));
  return Buffer.concat([message('T', int16(1), ...field), ...rows, message('C', `SELECT ${texts.length}\0`), READY]);
}
/** An error with this code, after which a FATAL one ends the connection. */
export function serverError(severity: 'ERROR' | 'FATAL', code: string, text: string): Buffer {
  return message('E', `S${severity}\0V${severity}\0C${code}\0M${text}\0\0`);
}

const CANCEL = 80_877_102;
const SSL = 80_877_103;

/** What such a server does. */
export interface Script {
  /** What a connection that wants to log in gets. Default: {@link LOGIN}. */
  login?(socket: Socket): Buffer | undefined;
  /** What a statement gets: a simple one, or at the end of an extended one. */
  answer(socket: Socket): Buffer | undefined;
}

/** A server on loopback. */
export class ScriptedPostgres {
  port = 0;
  /** Requests to cancel so far. */
  cancels = 0;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  readonly #script: Script;

  static async start(script: Script): Promise<ScriptedPostgres> {
    const server = new ScriptedPostgres(script);
    server.port = await listen(server.#server);
    return server;
  }

  private constructor(script: Script) {
    this.#script = script;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  /** What connects to it. */
  get config(): { host: string; port: number; user: string; database: string; tunnel: false } {
    return { host: '127.0.0.1', port: this.port, user: 'anybody', database: 'any', tunnel: false };
  }

  /** Connections now. */
  get connections(): number {
    return this.#sockets.size;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket));
    let received = Buffer.alloc(0);
    let hasLoggedIn = false;
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      for (;;) {
        const lengthAt = hasLoggedIn ? 1 : 0;
        if (received.length < lengthAt + 4) return;
        const length = lengthAt + received.readInt32BE(lengthAt);
        if (received.length < length) return;
        const [whole, rest] = [received.subarray(0, length), received.subarray(length)];
        received = rest;
        if (hasLoggedIn) this.#onMessage(socket, String.fromCharCode(whole[0]!));
        else hasLoggedIn = this.#onStart(socket, whole.readInt32BE(4));
      }
    });
  }

  /** Whether the user has logged in. */
  #onStart(socket: Socket, code: number): boolean {
    if (code === SSL) socket.write('N');
    else if (code === CANCEL) {
      this.cancels += 1;
      socket.end();
    } else {
      this.#write(socket, this.#script.login ? this.#script.login(socket) : LOGIN);
      return true;
    }
    return false;
  }

  #onMessage(socket: Socket, tag: string): void {
    if (tag === 'Q' || tag === 'S') this.#write(socket, this.#script.answer(socket));
  }

  #write(socket: Socket, bytes: Buffer | undefined): void {
    if (bytes && bytes.length > 0 && socket.writable) socket.write(bytes);
  }
}
