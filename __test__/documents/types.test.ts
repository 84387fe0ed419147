// That every public name can be imported is compiled by `npm run check` (scripts/check/consumers.mjs); here: that the typings
// promise no other names than there are at run time.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { root } from '../support/paths';

test('the typings of every entry name what is there at run time, and nothing else', async () => {
  const typings = await import(pathToFileURL(join(root, 'scripts', 'docs', 'typings.mjs')).href);
  const entries: [specifier: string, names: { name: string; isValue: boolean }[]][] = Object.entries(typings.entries());
  assert.ok(entries.length > 1);
  for (const [specifier, names] of entries) {
    const values = names.filter(({ isValue }) => isValue).map(({ name }) => name);
    assert.deepEqual(Object.keys(require(specifier)).sort(), values.sort(), specifier);
  }
});
