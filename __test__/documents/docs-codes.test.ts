// docs/reference/errors.md has a row for every code that the sources give, and for no other.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';

import { ERROR_KINDS } from '../../lib/runtime/error';
import { root } from '../support/paths';

/** Words of the sources that look like a code: Node's and ours, the system's, those of the engine and of the usual clients. */
const CODE =
  /["'`]((?:ERR|WS_ERR|CERT|UNABLE|SQLITE|URL|CLIENT|SYNC|SERVER|HRANA|TRANSACTION)_[A-Z\d_]+|ENCRYPTION_KEY_NOT_SUPPORTED|ABORT_ERR|UNKNOWN|E(?:[A-Z]+(?:REFUSED|RESET|ABORTED|OUT|UNREACH|DOWN|CONN|FOUND|NOTAVAIL)|ACCES|AGAIN|PIPE))["'`]/g;
/** Found in the sources, and given to nobody: what is looked for in an answer, an example in a comment. */
const NO_CODES = new Set(['SQLITE_CONSTRAINT_PRIMARYKEY', 'ERR_INVALID_']);

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(rs|ts)$/.test(entry.name))
    .map((entry) => readFileSync(join(entry.parentPath ?? entry.path, entry.name), 'utf8').split('#[cfg(test)]')[0]!);
}

describe('docs/reference/errors.md', () => {
  let rows: string[][];
  before(() => {
    const page = readFileSync(join(root, 'docs/reference/errors.md'), 'utf8');
    const [, table] = /## Codes\n([^]*?)\n## /.exec(page)!;
    rows = [...table!.matchAll(/^\| `(.+)$/gm)].map(([, row]) => row!.split('|').map((cell) => cell.trim()));
  });

  test('has a row for every code of the sources, and none for others', () => {
    const texts = ['crates/core/src', 'crates/net/src', 'crates/services/src', 'src', 'lib'].flatMap(sources);
    const given = new Set(texts.flatMap((text) => [...text.matchAll(CODE)].map(([, code]) => code!)));
    const expected = [...given].filter((code) => !NO_CODES.has(code)).sort();
    assert.deepEqual(rows.map(([code]) => code!.replace('`', '')).sort(), expected);
    assert.ok(expected.length > 100, `${expected.length} codes`);
  });

  test('says of each code its kind or class, when it comes, what to do, and whether to repeat the call', () => {
    const kinds: readonly string[] = [...ERROR_KINDS, 'TypeError', 'RangeError', 'Error'];
    for (const row of rows) {
      const [code, kind, when, remedy, retryable] = row;
      for (const [, name] of kind!.matchAll(/`([^`]+)`/g)) assert.ok(kinds.includes(name!), `${code} is of ${name}`);
      assert.ok(kind && when && remedy && retryable, row.join(' | '));
    }
  });

  test('has the code of each kind', () => {
    const text = readFileSync(join(root, 'crates/core/src/error.rs'), 'utf8');
    const [body] = /pub const fn default_code[^]*?\n {4}\}/.exec(text)!;
    const codes = [...body!.matchAll(/"([A-Z_]+)"/g)].map(([, code]) => `${code}\``);
    for (const code of codes)
      assert.ok(
        rows.some(([row]) => row === code),
        code,
      );
  });
});
