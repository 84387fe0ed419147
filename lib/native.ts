import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { dress } from './error';
import { log } from './logger';
import type * as Native from '../dist/native';

export type {
  Cancel,
  EventStream,
  Handle,
  HttpBodyQueue,
  HttpBodyReader,
  HttpCallOptions,
  HttpEngine,
  LibsqlPool,
  Socket,
  WebSocketClient,
} from '../dist/native';

/** The platform packages that may hold this machine's binary, most likely first. */
function candidates(): string[] {
  const { platform, arch } = process;
  if (platform === 'linux') return [`linux-${arch}-gnu`, `linux-${arch}-musl`];
  if (platform === 'win32') return [`win32-${arch}-msvc`];
  return [`${platform}-${arch}`];
}

function load(): typeof Native {
  const failures: unknown[] = [];
  for (const triple of candidates()) {
    // A source checkout has the binary beside the compiled files; a published package never does.
    const local = join(__dirname, `moorline.${triple}.node`);
    try {
      return require(existsSync(local) ? local : `moorline-${triple}`) as typeof Native;
    } catch (error) {
      failures.push(error);
    }
  }
  const names = candidates().map((triple) => `moorline-${triple}`);
  throw new Error(
    `moorline has no binary for this machine: none of ${names.join(', ')} could be loaded. ` +
      'Either the install left optional dependencies out (npm install --include=optional), or the lock file was ' +
      'written on another platform (delete node_modules and install again), or this platform is not built yet.',
    { cause: failures[0] },
  );
}

/** The addon's functions. Only `lib/` calls them; users never see a handle. */
export const native = load();

native.bridgeAttach(
  dress,
  (reason) => log('warn', 'moorline.calls-lost', 'bridge', () => ({ reason })),
  (...items) => items,
);
