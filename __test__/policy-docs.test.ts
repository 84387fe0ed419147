// The code of docs/services/resilience.md, and of the sections of docs/migration.md that lead to Policy, runs.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { compile } from './seeds/compile';
import type { BlockEdits } from './seeds/edits';
import { codeBlocks } from './seeds/extract';

const document = (name: string) => codeBlocks(readFileSync(join(__dirname, '..', 'docs', name), 'utf8'));
const block = (prelude: string, ...exposes: string[]): BlockEdits => ({ replace: [], prelude, exposes });

describe('docs/services/resilience.md', () => {
  const server = createServer((_, response) => response.end('{"total":7}'));
  before(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
  after(() => server.close());

  test('its code compiles and does what it says', async () => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const snippets = compile('resilience', document('services/resilience.md'), {
      1: block(`const url = '${url}';`, 'invoice'),
      2: block('const index = { search: async (_: string): Promise<string[]> => { throw new Error(); } };', 'search'),
      3: block('const ids = [1, 2, 3]; const fetchContact = async (id: number) => id * 2;', 'contacts'),
    });
    for (const { diagnostics } of snippets.values()) assert.equal(diagnostics, '');
    assert.deepEqual((await snippets.get(1)!.load())['invoice'], { total: 7 });
    const { search } = (await snippets.get(2)!.load()) as { search: (text: string) => Promise<string[]> };
    for (let n = 0; n < 5; n++) await assert.rejects(search('x'));
    assert.deepEqual(await search('x'), []);
    assert.deepEqual((await snippets.get(3)!.load())['contacts'], [2, 4, 6]);
  });
});

describe('docs/migration.md', () => {
  test('what opossum and cockatiel become compiles and runs', async () => {
    const blocks = document('migration.md').filter(({ heading }) => /^(opossum|cockatiel)$/.test(heading));
    const ours = blocks.filter(({ code }) => !code.startsWith('// before'));
    assert.equal(ours.length, 2);
    const [opossum, cockatiel] = ours.map(({ number }) => number) as [number, number];
    const snippets = compile('migration-resilience', ours, {
      [opossum]: block(
        "const order = 'one'; const charge = async (o: string, _: AbortSignal) => `paid ${o}`;",
        'receipt',
      ),
      [cockatiel]: block(
        'class NetworkError extends Error {} let tries = 0;\n' +
          "const load = async (_: AbortSignal) => { if (++tries < 3) throw new NetworkError(); return 'data'; };",
        'data',
      ),
    });
    for (const { diagnostics } of snippets.values()) assert.equal(diagnostics, '');
    assert.equal((await snippets.get(opossum)!.load())['receipt'], 'paid one');
    assert.equal((await snippets.get(cockatiel)!.load())['data'], 'data');
  });
});
