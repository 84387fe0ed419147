// Makes modules of code blocks, compiles them as `tsc --strict` does, and loads what came out.
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import ts from 'typescript';

import type { BlockEdits } from './edits';
import type { Block } from './extract';
import { root } from '../support/paths';

const options: ts.CompilerOptions = {
  strict: true,
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.Node20,
  moduleResolution: ts.ModuleResolutionKind.Node16,
  types: ['node'],
  noEmitOnError: true,
};

/** A block compiled as a module. */
export interface Snippet {
  source: string;
  /** The compiler's diagnostics; empty when it compiles. */
  diagnostics: string;
  /** The file it was compiled to. */
  script: string;
  /** Runs the module and gives its exports. */
  load(): Promise<Record<string, any>>;
}

/** The module's text: the block's imports, its prelude, its code, and what the test looks at. */
export function moduleText(block: Block, { replace, prelude = '', scope, memberOf, exposes }: BlockEdits): string {
  let { code } = block;
  for (const { from, to } of replace) {
    assert.equal(code.split(from).length, 2, `block ${block.number} must have ${from} once`);
    code = code.replace(from, () => to);
  }
  if (memberOf !== undefined) code = `class ${memberOf} {\n${code}\n}`;
  const names = `{ ${exposes.join(', ')} }`;
  if (scope === undefined) return `${prelude}\n${code}\nexport ${names};\n`;
  // Imports cannot stand in a function.
  const imports = /^import [^;]+;\n/gm;
  const body = code.replace(imports, '');
  const head = code.match(imports)?.join('') ?? '';
  return `${head}${prelude}\nexport async function ${scope} {\n${body}\nreturn ${names};\n}\n`;
}

/** Compiles the blocks of one document, a page's by its path, in one go, inside the package: they import it by its name, as users do. */
export function compile(
  name: number | string,
  blocks: Block[],
  edits: Record<number, BlockEdits>,
): Map<number, Snippet> {
  const directory = join(root, 'target', 'specification', `${name}-${process.pid}`);
  mkdirSync(directory, { recursive: true });
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  const snippets = new Map<number, Snippet>();
  const files = new Map<number, string>();
  for (const block of blocks) {
    const edit = edits[block.number];
    assert.ok(edit, `block ${block.number} of document ${name} has no entry in edits.ts`);
    const file = join(directory, `block-${block.number}.mts`);
    const source = moduleText(block, edit);
    writeFileSync(file, source);
    files.set(block.number, file);
    const script = file.replace(/\.mts$/, '.mjs');
    const load = () => import(pathToFileURL(script).href) as Promise<Record<string, any>>;
    snippets.set(block.number, { source, diagnostics: '', script, load });
  }
  const program = ts.createProgram([...files.values()], options);
  const host = ts.createCompilerHost(options);
  assert.equal(ts.formatDiagnostics(program.getOptionsDiagnostics(), host), '');
  for (const [number, file] of files) {
    const source = program.getSourceFile(file);
    const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
    snippets.get(number)!.diagnostics = ts.formatDiagnostics(found, host);
    if (found.length === 0) program.emit(source);
  }
  return snippets;
}
