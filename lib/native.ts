import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { dressThrown } from './error';
import { log } from './logger';
import type * as Native from '../dist/native';
import { type Attempt, loadError } from './load-error';

export type {
  Cancel,
  EventStream,
  Handle,
  HttpBodyQueue,
  HttpBodyReader,
  HttpCallOptions,
  HttpEngine,
  LibsqlPool,
  ObjectPool,
  Socket,
  WebSocketClient,
} from '../dist/native';

/** The platforms whose binary may be this machine's, most likely first. */
function candidates(): string[] {
  const { platform, arch } = process;
  if (platform === 'linux') return [`linux-${arch}-gnu`, `linux-${arch}-musl`];
  if (platform === 'win32') return [`win32-${arch}-msvc`];
  return [`${platform}-${arch}`];
}

function load(): typeof Native {
  const attempts: Attempt[] = [];
  // A bundler that makes an ES module leaves it undefined.
  const directory = typeof __dirname === 'string' ? __dirname : undefined;
  for (const platform of candidates()) {
    // A source checkout has the binary beside the compiled files; a published package never does.
    const local = directory && join(directory, `moorline.${platform}.node`);
    try {
      return require(local && existsSync(local) ? local : `moorline-${platform}`) as typeof Native;
    } catch (error) {
      attempts.push({ platform, error });
    }
  }
  throw loadError(attempts, directory);
}

type Run = (...given: unknown[]) => unknown;

/** The same function, whose errors are made here: those of the addon are of the realm that loaded it first. */
function around(run: Run): Run {
  return (...given) => {
    try {
      return run(...given);
    } catch (thrown) {
      throw dressThrown(thrown);
    }
  };
}

function aroundAll(addon: typeof Native): typeof Native {
  const functions = Object.entries(Object.getOwnPropertyDescriptors(addon));
  // Those that are not enumerable throw nothing, and are called too often for anything to be around them.
  const dressed = functions.map(([name, { value, enumerable }]) => [name, enumerable ? around(value as Run) : value]);
  return Object.fromEntries(dressed) as typeof Native;
}

/** The addon's functions. Only `lib/` calls them; users never see a handle. */
export const native = aroundAll(load());

native.bridgeAttach(
  dressThrown,
  (reason) => log('warn', 'moorline.calls-lost', 'bridge', () => ({ reason })),
  (...items) => items,
);
