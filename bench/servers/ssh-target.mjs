// What bench/ssh.mjs reaches through sshd, in a process of its own: a server of HTTP, and one that echoes lines and sends
// the download on request.
import { createCipheriv } from 'node:crypto';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';

/** The bytes of the download, which both sides make: no two parts of it are equal. */
export const download = () => {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16));
  return cipher.update(Buffer.alloc(64 * 2 ** 20));
};

/** The length of a line that is echoed. */
export const LINE_BYTES = 64;
/** The byte that asks for the download instead. */
export const ASK_DOWNLOAD = 0x21;

if (process.send) {
  const bytes = download();
  const http = createHttpServer((request, response) => {
    if (request.url === '/download') return response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
    const body = JSON.stringify({ path: request.url, text: 'a round trip' });
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
  });
  http.keepAliveTimeout = 60_000;
  const lines = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (data) => socket.write(data[0] === ASK_DOWNLOAD ? bytes : data));
  });
  const port = (server) =>
    new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)));
  process.send({ http: await port(http), lines: await port(lines) });
  process.on('disconnect', () => process.exit(0));
}
