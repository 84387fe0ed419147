// The typings of the addon beyond those that napi writes: the functions that are written by hand, and a type per handle.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';

import { root } from './run.mjs';

/** The typings that napi puts before its own: what is the same for all services. */
const HEADER = 'native-header.d.ts';

/** Adds to what napi wrote what the files beside the hand-written functions declare, and the handles of both. */
export function completeNativeTypings(file, source = join(root, 'src')) {
  const declared = readdirSync(source, { withFileTypes: true, recursive: true })
    .filter(({ name }) => name.endsWith('.d.ts') && name !== HEADER)
    .map(({ parentPath, name }) => relative(source, join(parentPath, name)))
    .sort()
    .map((path) => readFileSync(join(source, path), 'utf8'));
  const typings = [readFileSync(file, 'utf8'), ...declared].join('\n');
  writeFileSync(file, `${typings}\n${handles(typings).join('\n')}\n`);
}

/** A type for each handle that is named, so that one cannot stand for another. */
function handles(typings) {
  const names = new Set([...typings.matchAll(/\bHandle<(\w+)>/g)].map(([, name]) => name));
  names.delete('T');
  return [...names].sort().map((name) => `export interface ${name} {\n  readonly __${name}: unique symbol;\n}`);
}
