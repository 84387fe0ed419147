// The public typings: one committed file per entry, folded from lib/.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { ENTRIES } from './entries.mjs';
import { root, runTool } from './run.mjs';

// The reference brings Node's types along where a project names no `types`, as TypeScript 6 does not by itself.
const BANNER =
  '/// <reference types="node" />\n' +
  '// The public contract of moorline, folded from lib/ by `npm run build`. Review it; do not edit it.\n\n';

/** Writes the typings of every entry into `directory`. */
export function bundleTypings(directory = root) {
  for (const { source, typings } of ENTRIES) {
    const path = join(directory, typings);
    runTool('dts-bundle-generator', [
      '--silent',
      '--no-banner',
      // What an entry does not export by name is no part of its contract.
      '--export-referenced-types=false',
      // The module augmentation of Express depends on it.
      '--inline-declare-global',
      '--project',
      'lib/tsconfig.json',
      '-o',
      path,
      source,
    ]);
    // As if it stood at the root, because prettier ignores target/.
    const { stdout } = runTool('prettier', ['--stdin-filepath', typings], {
      input: BANNER + readFileSync(path, 'utf8'),
      stdio: ['pipe', 'pipe', 'inherit'],
      encoding: 'utf8',
    });
    writeFileSync(path, stdout);
  }
}

/** The entries whose committed typings differ from what lib/ says now. */
export function staleTypings() {
  const fresh = join(root, 'target', 'typings');
  bundleTypings(fresh);
  const stale = ENTRIES.map(({ typings }) => typings).filter(
    (file) => readFileSync(join(root, file), 'utf8') !== readFileSync(join(fresh, file), 'utf8'),
  );
  rmSync(fresh, { recursive: true });
  return stale;
}
