// The documents are our specification: they must not be edited to make a test pass.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';

import { codeBlocks, specificationDocument } from './extract';

const DOCUMENTS = [
  { sha256: 'e3398fc04469b3cf3fb46b3b44cd1065ae480d5ef6a6ed198dd565ecb6767b1c', blocks: { typescript: 5 } },
  { sha256: 'eeb8aca4d2673da93821e9c6c0e835a4f927c6366d249553f3b25e480facec15', blocks: { bash: 2, typescript: 25 } },
  {
    sha256: '5bd3c339dfb56a25f0b56e008a12c8c515b48f6c0b39d1b50e15e6626fc98bcc',
    blocks: { '': 1, bash: 3, env: 1, typescript: 19 },
  },
  { sha256: 'b53178988aad796d6d44c8b395e2ecfbd11c011e414d41ad644ffbc1e1ede266', blocks: { sql: 1, typescript: 14 } },
  {
    sha256: 'd18aeef33ac8087785e4e28c4d7892603a3cbb047c40bca828483ef3fca84281',
    blocks: { bash: 1, python: 11, text: 1 },
  },
];

describe('the documents of the specification', () => {
  for (const [number, expected] of DOCUMENTS.entries()) {
    test(`document ${number} stands whole, and every code block of it is found`, () => {
      const document = specificationDocument(number);
      assert.equal(createHash('sha256').update(document).digest('hex'), expected.sha256);
      const found: Record<string, number> = {};
      const blocks = codeBlocks(document);
      for (const { language } of blocks) found[language] = (found[language] ?? 0) + 1;
      assert.deepEqual(found, expected.blocks);
      const lines = document.split('\n');
      for (const { line, code } of blocks) assert.equal(lines[line - 1], code.split('\n')[0]);
    });
  }
});
