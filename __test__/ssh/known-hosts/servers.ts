// sshd with keys of several types, with certificates, and a jump host that takes each name for one of them.
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { SSHHostConfig } from 'moorline';

import { type RunningServer, startServer } from '../../support/http';
import { peer } from '../../support/peers';
import { Sshd, sshKeygen } from '../../support/sshd';
import { HOST, type KeyName, type Keys, type ServerName } from './cases';

const TYPES: Record<KeyName, string[]> = {
  ed25519: ['-t', 'ed25519'],
  ed25519Old: ['-t', 'ed25519'],
  ecdsa: ['-t', 'ecdsa', '-b', '256'],
  ecdsaOld: ['-t', 'ecdsa', '-b', '256'],
  rsa: ['-t', 'rsa', '-b', '2048'],
  rsaOld: ['-t', 'rsa', '-b', '2048'],
  authority: ['-t', 'ed25519'],
  authorityOld: ['-t', 'ed25519'],
};

/** The certificates of the key `ed25519`: whom they are for, and when. */
const CERTIFICATES: Record<Exclude<ServerName, 'plain'>, string[]> = {
  certified: ['-n', `${HOST},10.0.0.5`, '-V', '-1h:+1h'],
  expired: ['-n', HOST, '-V', '20200101:20210101'],
  future: ['-n', HOST, '-V', '20700101:20710101'],
  misnamed: ['-n', 'web.example.com', '-V', '-1h:+1h'],
};

/** The servers of the test, each with its log at `DEBUG`. */
export class Servers {
  readonly directory = mkdtempSync(join(tmpdir(), 'moorline-known-hosts-'));
  readonly keys = {} as Keys;
  readonly #sshds = new Map<ServerName, Sshd>();

  async start(): Promise<void> {
    for (const [name, type] of Object.entries(TYPES)) {
      sshKeygen('-q', ...type, '-N', '', '-C', '', '-f', join(this.directory, name));
      this.keys[name as KeyName] = this.#read(`${name}.pub`).trim();
    }
    const hostKeys = ['ed25519', 'ecdsa', 'rsa'].map((name) => `HostKey ${join(this.directory, name)}`);
    const plain = Sshd.start('LogLevel DEBUG', ...hostKeys).then((sshd) => this.#sshds.set('plain', sshd));
    const certified = Object.entries(CERTIFICATES).map(async ([name, args]) => {
      const certificate = this.#certify(name, args);
      const settings = ['LogLevel DEBUG', hostKeys[0]!, `HostCertificate ${certificate}`];
      this.#sshds.set(name as ServerName, await Sshd.start(...settings));
    });
    await Promise.all([plain, ...certified]);
  }

  sshd(name: ServerName): Sshd {
    return this.#sshds.get(name)!;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#sshds.values()].map((sshd) => sshd.stop()));
    rmSync(this.directory, { recursive: true, force: true });
  }

  #read(name: string): string {
    return readFileSync(join(this.directory, name), 'utf8');
  }

  /** The path of a new certificate, which `ssh-keygen` writes beside a public key. */
  #certify(name: string, args: string[]): string {
    const path = join(this.directory, name);
    writeFileSync(`${path}.pub`, this.keys.ed25519);
    sshKeygen('-q', '-h', '-s', join(this.directory, 'authority'), '-I', name, ...args, `${path}.pub`);
    return `${path}-cert.pub`;
  }
}

/** The server of `ssh2` as a jump host: whatever it is asked for, it connects to `port()`. */
export async function startJumpHost(port: () => number): Promise<{ server: RunningServer; config: SSHHostConfig }> {
  const { Server } = (await peer('ssh2')).default;
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const hostKeys = [privateKey.export({ type: 'pkcs1', format: 'pem' })];
  const ssh = new Server({ hostKeys }, (client: any) => {
    client.on('error', () => undefined);
    client.on('authentication', (context: any) => context.accept());
    client.on('tcpip', (accept: any) => {
      const socket = connect({ port: port(), host: '127.0.0.1', noDelay: true });
      const channel = accept();
      channel.on('error', () => undefined);
      socket
        .on('error', () => channel.destroy())
        .pipe(channel)
        .pipe(socket);
    });
  });
  // Its own sockets are no sockets of Node's.
  const server = await startServer(
    createServer({ noDelay: true }, (socket) => ssh.injectSocket(socket)),
    'ssh',
  );
  const at = { sshHost: '127.0.0.1', sshPort: server.port, sshUsername: 'alice', password: 'any' };
  return { server, config: { ...at, hostKeyVerification: 'insecure' } };
}
