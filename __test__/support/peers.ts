// Other people's implementations, installed when a test first asks for one.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { missing } from './missing';
import { testsDirectory } from './paths';

const directory = join(testsDirectory, 'peers');

/** Why the peers cannot be had on this machine, or `false`. To be given to `skip`. */
export function peersMissing(): string | false {
  const lock = join(directory, 'package-lock.json');
  const installed = join(directory, 'node_modules', '.package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return false;
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status, stderr } = spawnSync('npm', args, { cwd: directory, encoding: 'utf8', timeout: 180_000 });
  if (status === 0) return false;
  return missing(`the packages of __test__/peers cannot be installed: ${stderr}`);
}

/** A peer's module; its types are not ours to check. */
export async function peer(name: string): Promise<any> {
  const { load } = await import(pathToFileURL(join(directory, 'load.mjs')).href);
  return load(name);
}
