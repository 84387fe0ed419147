import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { dress } from './error';
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

/** The addon's functions. Only `lib/` calls them; users never see a handle. */
export const native = load();

native.bridgeAttach(
  dress,
  (reason) => log('warn', 'moorline.calls-lost', 'bridge', () => ({ reason })),
  (...items) => items,
);
