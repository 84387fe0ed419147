// OpenSSH's sshd on loopback for the benches, with a user's key of its own: that of the machine, else the one in Debian's
// package, which is unpacked without being installed.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

import { findProgram, freePort, stopAtExit, untilListening } from './programs.mjs';

/** Starts it; what it gives is what clients need, and `stop`, which is called when the process exits, too. */
export async function startSshd() {
  const [sshd, keygen] = [findProgram('sshd', 'openssh-server'), findProgram('ssh-keygen', 'openssh-client')];
  const directory = mkdtempSync(join(tmpdir(), 'moorline-bench-sshd-'));
  const file = (name) => join(directory, name);
  const run = (...args) => execFileSync(keygen.path, args, { env: keygen.env, encoding: 'utf8' });
  for (const key of ['host', 'user']) run('-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', file(key));
  const port = await freePort();
  const config = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${file('host')}`,
    `AuthorizedKeysFile ${file('user.pub')}`,
    'PidFile none',
    'StrictModes no',
    'UsePAM no',
    'LogLevel FATAL',
  ];
  writeFileSync(file('config'), `${config.join('\n')}\n`);
  const child = spawn(sshd.path, ['-D', '-e', '-f', file('config')], {
    env: sshd.env,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const stop = () => {
    child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  };
  stopAtExit(stop);
  await untilListening(child, port);
  return {
    port,
    username: userInfo().username,
    keyPath: file('user'),
    privateKey: readFileSync(file('user')),
    fingerprint: /SHA256:\S+/.exec(run('-lf', file('host.pub')))[0],
    stop,
  };
}
