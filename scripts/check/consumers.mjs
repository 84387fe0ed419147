// Modules of users that name all of an entry, made of the committed typings: under every resolution each name must be had.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { entries } from '../docs/typings.mjs';

/** Writes a module for each entry into `directory`, which holds nothing else. */
export function writeConsumers(directory) {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  for (const [specifier, names] of Object.entries(entries())) {
    const list = (isValue) => names.filter((name) => name.isValue === isValue).map(({ name }) => name);
    writeFileSync(
      join(directory, `${specifier.replace('/', '-')}.mts`),
      `export { ${list(true).join(', ')} } from '${specifier}';\n` +
        `export type { ${list(false).join(', ')} } from '${specifier}';\n`,
    );
  }
}
