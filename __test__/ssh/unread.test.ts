// A download that nobody reads holds up nothing but itself; `npm run soak -- ssh` goes on longer.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { measureUnreadDownload } from '../alone/soak/unread-download';
import { skipWithoutSshd } from '../support/sshd';

const LIMIT_MS = 50;

test('1 GB that nobody reads', { skip: skipWithoutSshd(), timeout: 120_000 }, async (t) => {
  const report = await measureUnreadDownload({ keepAliveIntervalMs: 1000, durationMs: 20_000 });
  t.diagnostic(JSON.stringify(report));
  // What is slow without the download, too, is the machine.
  assert.ok(report.besideMs < Math.max(LIMIT_MS, 2 * report.p99Ms), `${report.besideMs} ms`);
});
