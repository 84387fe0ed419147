// The typings of the addon: what napi writes, completed.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { root } from '../support/paths';

test('hand-written functions are declared, and every handle has one type of its own', async (t) => {
  const { completeNativeTypings } = await import(
    pathToFileURL(join(root, 'scripts', 'lib', 'native-typings.mjs')).href
  );
  const directory = mkdtempSync(join(tmpdir(), 'moorline-typings-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'native.d.ts');
  const open = 'export declare function harbourOpen(): Promise<Handle<Harbour>>;';
  const take = 'export declare function harbourTake(harbour: Handle<Harbour>, ship: Handle<Ship>): void;';
  writeFileSync(file, `export interface Handle<T> {\n  readonly __native: T;\n}\n${open}\n`);
  mkdirSync(join(directory, 'src', 'harbour'), { recursive: true });
  writeFileSync(join(directory, 'src', 'harbour', 'fast.d.ts'), `${take}\n`);
  completeNativeTypings(file, join(directory, 'src'));
  const typings = readFileSync(file, 'utf8');
  assert.ok(typings.includes(open) && typings.includes(take), typings);
  assert.deepEqual(
    Array.from(typings.matchAll(/export interface (\w+)/g), ([, name]) => name),
    ['Handle', 'Harbour', 'Ship'],
  );
});
