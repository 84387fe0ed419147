// The strict part of the Autobahn suite, and a sample of the rest; `npm run autobahn` runs all of it.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { missing } from '../support/missing';
import { root } from '../support/paths';

/** Framing, pings, reserved bits, opcodes, fragments, UTF-8, closing; one of each size and each agreement of the rest. */
const PROTOCOL_CASES = ['1.*', '2.*', '3.*', '4.*', '5.*', '6.*', '7.*', '10.*', '9.1.1', '9.2.1', '9.3.1', '9.4.1'];
const COMPRESSION_SAMPLE = ['12.1.1', '12.2.3', '13.1.1', '13.2.1', '13.3.1', '13.4.1', '13.5.1', '13.6.1', '13.7.1'];

/** Beyond `npm test`'s own timeout a stuck server would hide the reason. */
const TIMEOUT_MS = 280_000;

test('the Autobahn suite finds nothing', { timeout: TIMEOUT_MS }, async (context) => {
  const scripts = join(root, 'scripts', 'autobahn');
  const load = (name: string) => import(pathToFileURL(join(scripts, name)).href);
  try {
    (await load('server.mjs')).install();
  } catch (error) {
    return context.skip(missing(`the Autobahn server: ${(error as Error).message}`));
  }
  const { passed, failed } = await (await load('cases.mjs')).runCases([...PROTOCOL_CASES, ...COMPRESSION_SAMPLE]);
  assert.deepEqual(failed, []);
  assert.ok(passed > 250, `${passed} passed`);
});
