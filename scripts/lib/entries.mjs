// The entry points of the package: each key of `exports` in package.json that has typings.
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

import { root } from './run.mjs';

/**
 * @typedef {object} Entry
 * @property {string} name The file in lib/entries, without its extension.
 * @property {string} specifier What users import.
 * @property {string} source Its file in lib/.
 * @property {string} main The compiled file.
 * @property {string} typings The committed typings at the root.
 */

/** @type {Entry[]} */
export const ENTRIES = Object.entries(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).exports)
  .filter(([, target]) => target.types)
  .map(([key, target]) => {
    const name = basename(target.default, '.js');
    return {
      name,
      specifier: key.replace('.', 'moorline'),
      source: `lib/entries/${name}.ts`,
      main: target.default.replace('./', ''),
      typings: target.types.replace('./', ''),
    };
  });
