// The server of `ssh2`, which other people use in Node; it opens channels to any target.
import { generateKeyPairSync } from 'node:crypto';
import { connect, createServer } from 'node:net';

import type { TunnelConfig } from 'moorline';

import { type RunningServer, startServer } from '../support/http';
import { peer } from '../support/peers';

/** A running server of `ssh2`. */
export interface Ssh2Server extends RunningServer {
  /** What a tunnel to it needs, but for a credential. */
  config: TunnelConfig;
  /** The clients that are connected; `ssh2`'s own. */
  clients: any[];
}

/** Starts one; `authenticate` judges each attempt of a client, as the event `authentication` of `ssh2` has it. */
export async function startSsh2Server(authenticate: (context: any) => void): Promise<Ssh2Server> {
  const { Server } = (await peer('ssh2')).default;
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = privateKey.export({ type: 'pkcs1', format: 'pem' });
  const clients: any[] = [];
  const ssh = new Server({ hostKeys: [key] }, (client: any) => {
    clients.push(client);
    client.on('close', () => clients.splice(clients.indexOf(client), 1));
    client.on('error', () => undefined);
    client.on('authentication', authenticate);
    client.on('tcpip', (accept: any, reject: any, { destIP, destPort }: { destIP: string; destPort: number }) => {
      const socket = connect(destPort, destIP, () => {
        const channel = accept();
        channel.on('error', () => undefined);
        channel.on('close', () => socket.destroy());
        socket.pipe(channel).pipe(socket);
      });
      socket.on('error', () => reject());
    });
  });
  // Its own sockets are no sockets of Node's.
  const server = await startServer(
    createServer((socket) => ssh.injectSocket(socket)),
    'ssh',
  );
  const config = { sshHost: '127.0.0.1', sshPort: server.port, sshUsername: 'alice' };
  return { ...server, clients, config: { ...config, hostKeyVerification: 'insecure' } };
}
