// Debian packages, unpacked into a directory without being installed, which needs no root:
// `node scripts/lib/debian.mjs <directory> <package> …`.
//
// Two processes may unpack the same one at the same time: each uses a directory of its cached, and the first renames it.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { fail, isMain } from './run.mjs';

/** Retries and timeouts: a mirror that is slow or fails once fails no test, and an unreachable one costs little time. */
const NETWORK = ['-o', 'Acquire::Retries=2', '-o', 'Acquire::http::Timeout=30', '-o', 'Acquire::https::Timeout=30'];
const TIMEOUT_MS = 120_000;

/** Where apt reads what this machine installs from. */
const SOURCES = '/etc/apt/sources.list';
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * Unpacks `packages` into `directory`: with what they need and this machine lacks, or, of another Debian release, these
 * alone. Throws with the reason when they cannot be had.
 */
export function unpack(packages, directory, suite) {
  if (existsSync(directory)) return;
  const work = `${directory}.${process.pid}`;
  const files = `${work}.packages`;
  try {
    mkdirSync(work, { recursive: true });
    download(packages, files, suite);
    for (const file of readdirSync(files)) run('dpkg-deb', ['-x', join(files, file), work]);
    publish(work, directory);
  } finally {
    for (const made of [work, files]) rmSync(made, { recursive: true, force: true });
  }
}

/** Puts `work` in its place, unless another process was faster. */
function publish(work, directory) {
  try {
    renameSync(work, directory);
  } catch (error) {
    if (!existsSync(directory)) throw error;
  }
}

/** Tries the lists of the machine, then those of an earlier run, then new ones. */
function download(packages, files, suite) {
  const get = (options) => {
    // Half of a failed attempt may be there, in other versions.
    rmSync(files, { recursive: true, force: true });
    mkdirSync(files);
    const wanted = suite === undefined ? withDependencies(packages, options) : packages;
    run('apt-get', [...options, ...NETWORK, '-qq', 'download', ...wanted], files);
  };
  const cached = join(tmpdir(), `moorline-apt-${process.getuid?.()}-${suite ?? 'machine'}`);
  const known = [...(suite === undefined ? [[]] : []), ...(existsSync(cached) ? [apt(cached, suite)] : [])];
  for (const options of known) {
    try {
      return get(options);
    } catch {
      // There are no lists, or the mirror has gone on to other versions.
    }
  }
  const fresh = `${cached}.${process.pid}`;
  try {
    const incomplete = updateLists(fresh, suite);
    try {
      get(apt(fresh, suite));
    } catch (error) {
      throw incomplete ?? error;
    }
    keepLists(fresh, cached);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** Leaves the lists in `fresh` to later runs, in the place of older ones. */
function keepLists(fresh, cached) {
  const old = `${fresh}.old`;
  try {
    if (existsSync(cached)) renameSync(cached, old);
    renameSync(fresh, cached);
  } catch {
    // Another process leaves its own.
  }
  rmSync(old, { recursive: true, force: true });
}

/** These packages, and those that an installation would bring with them. */
function withDependencies(packages, options) {
  const simulation = ['-qq', '--print-uris', '--no-install-recommends', 'install', ...packages];
  const listed = run('apt-get', [...options, ...simulation]);
  return [...new Set([...packages, ...[...listed.matchAll(/^'\S+' ([^_\s]+)_/gm)].map(([, name]) => name)])];
}

/** Gives the error when a source is out of reach: the packages may come from another. */
function updateLists(directory, suite) {
  for (const part of ['lists/partial', 'cache/archives/partial']) mkdirSync(join(directory, part), { recursive: true });
  if (suite !== undefined) {
    writeFileSync(join(directory, 'sources.list'), `deb [signed-by=${keyring()}] ${mirror()} ${suite} main\n`);
    writeFileSync(join(directory, 'status'), '');
  }
  try {
    run('apt-get', [...apt(directory, suite), ...NETWORK, '-qq', 'update']);
    return undefined;
  } catch (error) {
    return error;
  }
}

/** The options by which apt keeps its lists in `directory` and leaves the machine's alone. */
function apt(directory, suite) {
  const settings = {
    'Dir::State::Lists': join(directory, 'lists'),
    'Dir::Cache': join(directory, 'cache'),
    // An index of the lists by their paths, of which the directory changes its own.
    'Dir::Cache::pkgcache': '',
    'Dir::Cache::srcpkgcache': '',
    ...(suite !== undefined && {
      'Dir::Etc::SourceList': join(directory, 'sources.list'),
      'Dir::Etc::SourceParts': '/nonexistent',
      'Dir::State::Status': join(directory, 'status'),
    }),
    // The user that apt downloads as may not write there.
    ...(process.getuid?.() === 0 && { 'APT::Sandbox::User': 'root' }),
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}

/** The mirror that this machine installs from; on another distribution the default one. */
function mirror() {
  const parts = `${SOURCES}.d`;
  const lists = existsSync(parts) ? readdirSync(parts).map((name) => join(parts, name)) : [];
  for (const list of [SOURCES, ...lists].filter((path) => existsSync(path))) {
    const found = readFileSync(list, 'utf8').match(/^(?:URIs:|deb(?: \[.*?\])?)\s*(\S+\/debian)\/?(?:\s|$)/m);
    if (found) return found[1];
  }
  return 'http://deb.debian.org/debian';
}

/** The keys that Debian's releases are signed by: other distributions have them as a package. */
function keyring() {
  if (existsSync(KEYRING)) return KEYRING;
  const directory = join(tmpdir(), `moorline-keyring-${process.getuid?.()}`);
  unpack(['debian-archive-keyring'], directory);
  return join(directory, KEYRING);
}

function run(command, args, cwd) {
  const { status, error, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: TIMEOUT_MS });
  if (status === 0) return stdout;
  const message = stderr?.trim().split('\n').slice(-3).join('; ');
  throw new Error(`${command} ${args.at(-1)}: ${error?.message ?? message}`);
}

if (isMain(import.meta.url)) {
  const [directory, ...packages] = process.argv.slice(2);
  if (packages.length === 0) fail('usage: node scripts/lib/debian.mjs <directory> <package> …');
  try {
    unpack(packages, resolve(directory));
  } catch (error) {
    fail(error.message);
  }
}
