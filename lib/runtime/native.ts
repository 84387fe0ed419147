import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { toThrownError, setFailureDefaults } from './error';
import { log } from './logger';
import { type Attempt, loadError } from './load-error';
import type * as Native from '../../dist/native';

export type * from '../../dist/native';

/** The platforms whose binary may be this machine's, most likely first. */
function candidates(): string[] {
  const { platform, arch } = process;
  if (platform === 'linux') return [`linux-${arch}-gnu`, `linux-${arch}-musl`];
  if (platform === 'win32') return [`win32-${arch}-msvc`];
  return [`${platform}-${arch}`];
}

function load(): typeof Native {
  const attempts: Attempt[] = [];
  // A bundler that makes an ES module leaves them undefined.
  const directory = typeof __dirname === 'string' ? __dirname : undefined;
  // A source checkout has files that were compiled one by one, and the binary beside them. What is published, or was put
  // into a bundle, is one file, and no file beside that is to be taken for the binary.
  const compiled = typeof __filename === 'string' && basename(__filename) === 'native.js' ? directory : undefined;
  for (const platform of candidates()) {
    try {
      const local = compiled && join(compiled, '..', `moorline.${platform}.node`);
      if (local && existsSync(local)) return require(local) as typeof Native;
      // Each name in full, and inside of the `try`: bundlers and tracers follow what they can read, and pass over what
      // is not installed only there.
      switch (platform) {
        case 'linux-x64-gnu':
          return require('moorline-linux-x64-gnu') as typeof Native;
        case 'linux-x64-musl':
          return require('moorline-linux-x64-musl') as typeof Native;
        case 'linux-arm64-gnu':
          return require('moorline-linux-arm64-gnu') as typeof Native;
        case 'linux-arm64-musl':
          return require('moorline-linux-arm64-musl') as typeof Native;
        case 'darwin-x64':
          return require('moorline-darwin-x64') as typeof Native;
        case 'darwin-arm64':
          return require('moorline-darwin-arm64') as typeof Native;
        case 'win32-x64-msvc':
          return require('moorline-win32-x64-msvc') as typeof Native;
      }
      throw Object.assign(new Error(`Cannot find module 'moorline-${platform}'`), { code: 'MODULE_NOT_FOUND' });
    } catch (error) {
      attempts.push({ platform, error });
    }
  }
  throw loadError(attempts, directory && dirname(compiled ? dirname(directory) : directory));
}

type NativeFunction = (...args: unknown[]) => unknown;

/** The same function, whose errors are made here: those of the addon are of the realm that loaded it first. */
function withOwnErrors(run: NativeFunction): NativeFunction {
  return (...args) => {
    try {
      return run(...args);
    } catch (thrown) {
      throw toThrownError(thrown);
    }
  };
}

function wrapAll(addon: typeof Native): typeof Native {
  const functions = Object.entries(Object.getOwnPropertyDescriptors(addon));
  // Those that are not enumerable throw nothing, and are called too often for anything to be around them.
  const wrapped = functions.map(([name, { value, enumerable }]) => [
    name,
    enumerable ? withOwnErrors(value as NativeFunction) : value,
  ]);
  return Object.fromEntries(wrapped) as typeof Native;
}

/** The addon's functions. Only `lib/` calls them; users never see a handle. */
export const native = wrapAll(load());

setFailureDefaults(native.failureDefaults());
native.bridgeAttach(
  toThrownError,
  (reason) => log('warn', 'moorline.calls-lost', 'bridge', () => ({ reason })),
  (...items) => items,
);
