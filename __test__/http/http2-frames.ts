// HTTP/2 servers that say what no library lets one say: frames by hand (RFC 9113), over TLS.
import { createServer, type TLSSocket } from 'node:tls';

import type { Certificate } from '../support/certificates';
import { type RunningServer, startServer } from '../support/http';

export const Type = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7 } as const;
export const Reason = { none: 0, internal: 2, flowControl: 3, refused: 7, cancel: 8 } as const;

const PREFACE_BYTES = 24;
const HEAD_BYTES = 9;
const ACK = 1;
const END_HEADERS = 4;

/** One frame. */
export function frame(type: number, stream: number, payload: Buffer = Buffer.alloc(0), flags = 0): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** The head of an answer: `200`, by the static table, and a length where one is given. */
export function ok(stream: number, length?: number): Buffer {
  const fields = [Buffer.from([0x88])];
  if (length !== undefined) {
    const digits = Buffer.from(String(length));
    fields.push(Buffer.from([0x0f, 0x0d, digits.length]), digits);
  }
  return frame(Type.headers, stream, Buffer.concat(fields), END_HEADERS);
}

/** A server that leaves the answers to `talk`, once the head of a request came; `reset` hears why a stream was ended. */
export function frames(
  certificate: Certificate,
  talk: (socket: TLSSocket, stream: number) => void,
  reset?: (reason: number) => void,
): Promise<RunningServer> {
  const server = createServer({ ...certificate, ALPNProtocols: ['h2'] }, (socket) => {
    let rest = Buffer.alloc(0);
    let greeted = false;
    socket.on('error', () => undefined).write(frame(Type.settings, 0));
    socket.on('data', (bytes: Buffer) => {
      rest = Buffer.concat([rest, bytes]);
      if (!greeted && rest.length >= PREFACE_BYTES) {
        greeted = true;
        rest = rest.subarray(PREFACE_BYTES);
      }
      while (greeted && rest.length >= HEAD_BYTES) {
        const end = HEAD_BYTES + rest.readUIntBE(0, 3);
        if (rest.length < end) return;
        const [type, flags, stream] = [rest.readUInt8(3), rest.readUInt8(4), rest.readUInt32BE(5)];
        const payload = rest.subarray(HEAD_BYTES, end);
        rest = rest.subarray(end);
        if (type === Type.settings && !(flags & ACK)) socket.write(frame(Type.settings, 0, undefined, ACK));
        if (type === Type.ping && !(flags & ACK)) socket.write(frame(Type.ping, 0, payload, ACK));
        if (type === Type.headers) talk(socket, stream);
        if (type === Type.reset) reset?.(payload.readUInt32BE(0));
      }
    });
  });
  return startServer(server);
}
