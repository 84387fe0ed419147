// Every service that the contract, the leak and the exit tests apply to: what the files of this folder export.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import type { Subject } from '../contract';

export const subjects = readdirSync(__dirname)
  .filter((name) => name !== 'index.ts')
  .sort()
  .flatMap((name) => Object.values(require(join(__dirname, name)) as Record<string, Subject>));
