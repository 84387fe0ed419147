// The program of the far end: `far-end-servers.ts <directory>`. It ends with the process that started it.
import { randomUUID } from 'node:crypto';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { readlinkSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { createServer as createSecureServer } from 'node:tls';

import { Authority } from '../support/certificates';
import { socketServer } from '../support/connections';
import { startServer } from '../support/http';
import { startSqld } from '../support/servers';
import { Sshd } from '../support/sshd';
import { type FarServers, relay } from './far-end';

const answer = `only here: ${randomUUID()}`;

const listener: RequestListener = ({ headers }, response) => {
  if (headers.accept !== 'text/event-stream') return response.end(answer);
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(`data: ${answer}\n\n`);
};

async function main(directory: string): Promise<void> {
  const authority = new Authority();
  const leaf = authority.issue(['DNS:localhost']);
  const secure = (port: number) =>
    startServer(createSecureServer(leaf, (socket) => relay(socket, connect(port, '127.0.0.1'))) as Server);
  const [sshd, second, web, sqld] = await Promise.all([
    Sshd.start('LogLevel DEBUG1'),
    Sshd.start('LogLevel DEBUG1'),
    socketServer(undefined, {}, createHttpServer(listener)),
    startSqld(),
  ]);
  const sqldPort = Number(new URL(sqld.url).port);
  const [secureWeb, secureSqld] = await Promise.all([secure(web.port), secure(sqldPort)]);
  const socketPath = join(directory, 'http.sock');
  createHttpServer(listener).listen(socketPath);
  createServer((socket) => relay(socket, connect(sshd.port, '127.0.0.1'))).listen(join(directory, 'sshd.sock'));
  const servers: FarServers = {
    namespace: readlinkSync('/proc/self/ns/net'),
    interfaces: Object.keys(networkInterfaces()),
    sshd: { ...sshd.config, sshPort: sshd.port },
    second: { ...second.config, sshPort: second.port },
    authority: authority.file,
    web: { plain: web.port, secure: secureWeb.port },
    sqld: { plain: sqldPort, secure: secureSqld.port },
    socketPath,
    answer,
  };
  process.on('message', (name: 'sshd' | 'second') => process.send!({ sshd, second }[name].log));
  process.on('disconnect', () => {
    authority.remove();
    void Promise.all([sshd.stop(), second.stop(), sqld.stop()]).then(() => process.exit(0));
  });
  process.send!(servers);
}

void main(process.argv[2]!);
