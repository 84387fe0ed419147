// Servers out of Debian's packages: the installed binary, else the package, unpacked without being installed.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { delimiter, join } from 'node:path';

import { missing } from './missing';
import { root } from './paths';

const script = join(root, 'scripts', 'lib', 'debian.mjs');
const cache = join(tmpdir(), `moorline-debian-${userInfo().uid}`);

/** A server's binary and what it needs in its environment. */
export interface Binary {
  path: string;
  env: NodeJS.ProcessEnv;
}

/**
 * Finds `/usr/sbin/name`, `/usr/bin/name` or one of PostgreSQL's, which have a directory of their own, here or in the
 * package `from`; else the reason.
 */
export function debianBinary(name: string, from: string): Binary | { missing: string } {
  const found = locate(name, '/');
  if (found) return { path: found, env: process.env };
  const root = join(cache, from);
  try {
    execFileSync(process.execPath, [script, root, from], { encoding: 'utf8', stdio: 'pipe' });
  } catch (error) {
    return { missing: `Debian's ${from} could not be had: ${(error as { stderr: string }).stderr}` };
  }
  const path = locate(name, root);
  if (!path) return { missing: `Debian's ${from} has no ${name}` };
  const libraries = ['lib', 'usr/lib'].map((directory) => join(root, directory)).filter((path) => existsSync(path));
  const directories = libraries.flatMap((lib) => readdirSync(lib).map((entry) => join(lib, entry)));
  return { path, env: { ...process.env, LD_LIBRARY_PATH: directories.join(delimiter) } };
}

function locate(name: string, root: string): string | undefined {
  const versions = join(root, 'usr/lib/postgresql');
  // The newest first; `/usr/bin` has scripts that choose one.
  const postgres = existsSync(versions) ? readdirSync(versions).sort((one, other) => Number(other) - Number(one)) : [];
  const directories = [...postgres.map((version) => `usr/lib/postgresql/${version}/bin`), 'usr/sbin', 'usr/bin'];
  return directories.map((directory) => join(root, directory, name)).find((path) => existsSync(path));
}

/** The option `skip` of tests that need these: false when all are there. */
export function skipWithout(...binaries: (Binary | { missing: string })[]): string | false {
  const reasons = binaries.flatMap((binary) => ('missing' in binary ? [missing(binary.missing)] : []));
  return reasons.length > 0 && reasons.join('; ');
}
