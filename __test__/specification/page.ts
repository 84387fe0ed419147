// The TypeScript on our own pages, compiled as their readers would.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { compile, type Snippet } from './compile';
import type { BlockEdits } from './edits';
import { type Block, codeBlocks } from './extract';
import { root } from '../support/paths';

/** The TypeScript blocks of a page, which is named from the root. */
export function blocksOf(page: string): Block[] {
  return codeBlocks(readFileSync(join(root, page), 'utf8')).filter(({ language }) => language === 'ts');
}

/**
 * Compiles every TypeScript block of a page, in their order; one that does not compile fails. `edits` has an entry
 * for each: what gives its free names a meaning, and what the test looks at.
 */
export function compilePage(page: string, edits: Partial<BlockEdits>[]): Snippet[] {
  const blocks = blocksOf(page);
  assert.equal(blocks.length, edits.length, `${page} has another number of blocks`);
  const byNumber = blocks.map(({ number }, index) => [number, { replace: [], exposes: [], ...edits[index] }]);
  const snippets = compile(page.replace(/\W/g, '-'), blocks, Object.fromEntries(byNumber));
  return blocks.map(({ number, line }) => {
    const snippet = snippets.get(number)!;
    assert.equal(snippet.diagnostics, '', `${page}:${line}\n${snippet.source}`);
    return snippet;
  });
}
