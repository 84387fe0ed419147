// The consumers in types/ are compiled by `npm run check`; here: that they leave no public name out.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';

import ts from 'typescript';
import { root } from '../support/paths';

/** The names a module exports. */
function exportedNames(file: string): string[] {
  const program = ts.createProgram([file], { module: ts.ModuleKind.NodeNext, types: [], noLib: true });
  const checker = program.getTypeChecker();
  const module = checker.getSymbolAtLocation(program.getSourceFile(file)!);
  assert.ok(module, `${file} is no module`);
  return checker.getExportsOfModule(module).map((symbol) => symbol.name);
}

for (const [entry, consumer] of [
  ['index', 'exports'],
  ['libsql', 'exports-libsql'],
]) {
  test(`the type consumers import every public name of ${entry}`, () => {
    const consumed = new Set(exportedNames(join(root, '__test__', 'types', `${consumer}.mts`)));
    const missing = exportedNames(join(root, `${entry}.d.ts`)).filter((name) => !consumed.has(name));
    assert.deepEqual(missing, [], `add them to __test__/types/${consumer}.mts`);
  });
}
