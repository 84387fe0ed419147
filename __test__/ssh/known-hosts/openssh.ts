// What OpenSSH's client says of a server with these files of known hosts.
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { type Binary, debianBinary } from '../../support/debian';
import type { KnownHostsCase } from './cases';

export const sshClient = debianBinary('ssh', 'openssh-client');

/** What a client says of a server. */
export interface Opinion {
  verdict: 'trusted' | 'unknown' | 'changed' | 'revoked';
  /** The algorithm by which the server has proven its key. */
  algorithm: string | undefined;
}

/** The client connects to any name by this: its input and output are the bytes to the server. */
const PROXY = `
const socket = require('node:net').connect(process.argv[2], '127.0.0.1');
process.stdin.pipe(socket).pipe(process.stdout);
socket.on('error', () => process.exit(1)).on('close', () => process.exit());
`;

/** Writes that for all clients that are started in this directory. */
export function writeProxy(directory: string): string {
  const proxy = join(directory, 'proxy.cjs');
  writeFileSync(proxy, PROXY);
  return proxy;
}

/** Asks it; `offending` is the line that it names for a key that has changed. */
export async function askOpenSsh(
  { host, port }: KnownHostsCase,
  files: string[],
  proxy: string,
  sshdPort: number,
): Promise<Opinion & { offending?: string; output: string }> {
  const options = {
    BatchMode: 'yes',
    StrictHostKeyChecking: 'yes',
    UserKnownHostsFile: files.join(' '),
    GlobalKnownHostsFile: '/dev/null',
    UpdateHostKeys: 'no',
    IdentityAgent: 'none',
    IdentityFile: 'none',
    // It is not to log in: whether it asks to is what tells that it trusts the server.
    PreferredAuthentications: 'none',
    ProxyCommand: `'${process.execPath}' '${proxy}' ${sshdPort}`,
  };
  const settings = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  const output = await run(['-v', '-F', 'none', ...settings, '-p', String(port), '-l', 'nobody', host, 'true']);
  const algorithm = /kex: host key algorithm: (\S+)/.exec(output)?.[1];
  const offending = /Offending \S+ key in (\S+:\d+)/.exec(output)?.[1];
  return { verdict: verdictOf(output), algorithm, ...(offending !== undefined && { offending }), output };
}

function verdictOf(output: string): Opinion['verdict'] {
  if (output.includes('SSH2_MSG_SERVICE_ACCEPT received')) return 'trusted';
  if (output.includes('REVOKED HOST KEY DETECTED')) return 'revoked';
  if (output.includes('REMOTE HOST IDENTIFICATION HAS CHANGED')) return 'changed';
  if (/No \S+ host key is known for/.test(output)) return 'unknown';
  throw new Error(`what ssh says is not understood: ${output}`);
}

function run(args: string[]): Promise<string> {
  const { path, env } = sshClient as Binary;
  return new Promise((resolve, reject) => {
    execFile(path, args, { env, timeout: 60_000 }, (error, _, stderr) => {
      // It never logs in.
      if (error?.code === 255) resolve(stderr);
      else reject(error ?? new Error(stderr));
    });
  });
}
