// OpenSSH's agent, stopped by its own process.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import type { TestContext } from 'node:test';

import { type Binary, debianBinary } from '../../support/debian';
import { eventually } from '../../support/eventually';

/** What it needs. */
export const sshAgent = ['ssh-agent', 'ssh-add'].map((name) => debianBinary(name, 'openssh-client'));

/** A running agent. */
export class Agent {
  private constructor(readonly path: string) {}

  static async start(t: TestContext, path: string): Promise<Agent> {
    const { path: command, env } = sshAgent[0] as Binary;
    const child: ChildProcess = spawn(command, ['-D', '-a', path], { env, stdio: 'ignore' });
    const ended = once(child, 'exit');
    t.after(async () => {
      child.kill();
      await ended;
    });
    await eventually(() => existsSync(path), 10_000);
    return new Agent(path);
  }

  add(...keys: string[]): void {
    this.#run('-q', ...keys);
  }

  remove(...keys: string[]): void {
    this.#run('-q', '-d', ...keys);
  }

  #run(...args: string[]): void {
    const { path, env } = sshAgent[1] as Binary;
    execFileSync(path, args, { env: { ...env, SSH_AUTH_SOCK: this.path }, stdio: 'pipe' });
  }
}
