// Servers out of Debian's packages: the installed binary, else the package, unpacked without being installed.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

const cache = join(tmpdir(), 'moorline-debian');

/** A server's binary and what it needs in its environment. */
export interface Binary {
  path: string;
  env: NodeJS.ProcessEnv;
}

/** Finds `/usr/sbin/name` or `/usr/bin/name`, here or in `packages`, of which the first has it; else the reason. */
export function debianBinary(name: string, ...packages: string[]): Binary | { missing: string } {
  const found = locate(name, '/');
  if (found) return { path: found, env: process.env };
  const root = join(cache, name);
  if (!locate(name, root)) {
    try {
      unpack(packages, root);
    } catch (error) {
      return { missing: `Debian's ${packages[0]} could not be had: ${(error as Error).message}` };
    }
  }
  const path = locate(name, root);
  if (!path) return { missing: `Debian's ${packages[0]} has no ${name}` };
  const lib = join(root, 'usr', 'lib');
  const libraries = existsSync(lib) ? readdirSync(lib).map((entry) => join(lib, entry)) : [];
  return { path, env: { ...process.env, LD_LIBRARY_PATH: libraries.join(delimiter) } };
}

function locate(name: string, root: string): string | undefined {
  return ['usr/sbin', 'usr/bin'].map((directory) => join(root, directory, name)).find((path) => existsSync(path));
}

function unpack(packages: string[], root: string): void {
  const files = join(root, 'packages');
  mkdirSync(files, { recursive: true });
  const options = { cwd: files, stdio: 'pipe' as const, timeout: 60_000 };
  execFileSync('apt-get', ['download', ...packages], options);
  for (const file of readdirSync(files)) execFileSync('dpkg', ['-x', file, root], options);
}

/** The option `skip` of tests that need these: false when all are there. */
export function skipWithout(...binaries: (Binary | { missing: string })[]): string | false {
  const missing = binaries.flatMap((binary) => ('missing' in binary ? [binary.missing] : []));
  if (missing.length === 0) return false;
  const reason = missing.join('; ');
  if (process.env['MOORLINE_REQUIRE_SERVERS'] === '1') throw new Error(reason);
  console.error(`SKIPPED for want of a server: ${reason}`);
  return reason;
}
