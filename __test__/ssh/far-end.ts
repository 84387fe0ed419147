// Servers that only an SSH server can reach, where a network namespace may be made: all of them run in one, and a Unix socket
// leads into it. Elsewhere they are on loopback, as everything is.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { SSHHostConfig } from 'moorline';

import { APART, mayBeApart } from '../alone/soak/tunnel-link';
import { startServer, type RunningServer } from '../support/http';

/** What there is at the far end; the ports are those there. */
export interface FarServers {
  /** Its network namespace. */
  namespace: string;
  interfaces: string[];
  /** The sshd that can be reached from here, and one that it can reach. */
  sshd: SSHHostConfig & { sshPort: number };
  second: SSHHostConfig & { sshPort: number };
  /** The file of the certificate that those of the servers are signed with. */
  authority: string;
  /** HTTP, WebSockets and events; and the same over TLS. */
  web: { plain: number; secure: number };
  /** sqld. */
  sqld: { plain: number; secure: number };
  /** An HTTP server that has no port: its Unix socket. */
  socketPath: string;
  /** What HTTP answers. */
  answer: string;
}

/** The far end. */
export class FarEnd {
  readonly #child: ChildProcess;
  readonly #entrance: RunningServer;
  readonly #directory: string;

  /** @param isApart Whether nothing there can be reached from here, but its sshd through the relay. */
  private constructor(
    readonly servers: FarServers,
    readonly isApart: boolean,
    own: { child: ChildProcess; entrance: RunningServer; directory: string },
  ) {
    this.#child = own.child;
    this.#entrance = own.entrance;
    this.#directory = own.directory;
  }

  static async start(): Promise<FarEnd> {
    const directory = mkdtempSync(join(tmpdir(), 'moorline-far-end-'));
    const program = [process.execPath, '--import', 'tsx', join(__dirname, 'far-end-servers.ts'), directory];
    const [unshare, ...apart] = APART;
    const isApart = mayBeApart();
    const [command, ...args] = isApart ? [unshare, ...apart, ...program] : program;
    const child = spawn(command!, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`the far end ended (${code})`)));
    const [servers] = (await Promise.race([once(child, 'message'), ended])) as [FarServers];
    ended.catch(() => undefined);
    const entrance = await startServer(
      createServer((socket) => relay(socket, connect(join(directory, 'sshd.sock')))),
      'ssh',
    );
    servers.sshd.sshPort = entrance.port;
    return new FarEnd(servers, isApart, { child, entrance, directory });
  }

  /** What an sshd there has logged. */
  async log(of: 'sshd' | 'second'): Promise<string> {
    const answered = once(this.#child, 'message');
    this.#child.send(of);
    return ((await answered) as [string])[0];
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.disconnect();
    await Promise.all([ended, this.#entrance.close()]);
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Carries bytes both ways; the end of one is that of both. */
export function relay(one: Socket, other: Socket): void {
  one.pipe(other).pipe(one);
  for (const socket of [one, other]) socket.on('error', () => [one, other].forEach((each) => each.destroy()));
}
