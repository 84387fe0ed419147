// The headers and libraries of an old glibc. A release build compiles and links against them with the compiler of the
// machine, because a binary asks for the newest symbols of the glibc that it was linked with.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { fail, runNpm, root, run } from './run.mjs';

/** The glibc in them. */
export const GLIBC = '2.17';

/** Packages of npm that carry one among other things, each by its exact contents. */
const PACKAGES = {
  'x86_64-unknown-linux-gnu': {
    name: '@napi-rs/cross-toolchain-x64-target-x86_64@1.0.0',
    integrity: 'lecoghCfoTAX9MLFcIx9/nL9M8xdkZ9n8Pki8qjKUNzjiq1zbECdEbzIZAMMHRtrXxifK9dAyYuh8gSxNbr2og==',
  },
  'aarch64-unknown-linux-gnu': {
    name: '@napi-rs/cross-toolchain-x64-target-aarch64@1.0.3',
    integrity: 'EMFcy/ahFsmCY3BI1tMC3wRUYZ+cDuILg7nP1micaKXW1tO1+RvUB1CC6QYe+cv2W4Tuz9wr3qcFExWyjgWf2w==',
  },
};

/** What a build for `target` needs in its environment: nothing where glibc is not asked for. */
export function sysrootEnvironment(target) {
  const found = PACKAGES[target];
  if (!found) return {};
  const sysroot = install(target, found);
  const flags = `CFLAGS_${target.replaceAll('-', '_')}`;
  return {
    // For the C in the dependencies, and for build.rs, which links.
    [flags]: [process.env[flags], `--sysroot=${sysroot}`].filter(Boolean).join(' '),
    MOORLINE_SYSROOT: sysroot,
  };
}

/** Downloads and unpacks it once; gives its directory. */
function install(target, { name, integrity }) {
  const version = name.slice(name.lastIndexOf('@') + 1);
  const directory = join(root, 'target', 'sysroot', `${target}-${version}`);
  if (existsSync(directory)) return directory;
  const work = `${directory}.${process.pid}`;
  mkdirSync(work, { recursive: true });
  console.log(`Installing the headers and libraries of glibc ${GLIBC} …`);
  const quiet = ['--silent', '--ignore-scripts', '--pack-destination', work];
  const { stdout } = runNpm(['pack', name, ...quiet], {
    cwd: work,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const tarball = join(work, stdout.trim());
  const sum = createHash('sha512').update(readFileSync(tarball)).digest('base64');
  if (sum !== integrity) fail(`${name} is not what it was: sha512-${sum}`);
  run('tar', ['-xzf', tarball, '-C', work, `package/${target}.tar.xz`]);
  // The compilers beside it are for other machines, and older than this machine's.
  run('tar', ['-xJf', join(work, 'package', `${target}.tar.xz`), '-C', work, `./${target}/sysroot`]);
  try {
    renameSync(join(work, target, 'sysroot'), directory);
  } catch (error) {
    // Another build was faster.
    if (!existsSync(directory)) throw error;
  }
  rmSync(work, { recursive: true, force: true });
  return directory;
}
