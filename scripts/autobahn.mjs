// The WebSocket client against the Autobahn test suite: `npm run autobahn [-- <case> …]`, all 517 cases without an
// argument. Says which failed, and last how many passed and failed.
import { runCases } from './autobahn/cases.mjs';
import { buildAddon, compileFace } from './build.mjs';
import { fail, installPackages } from './lib/run.mjs';

const [...wanted] = process.argv.slice(2).filter((argument) => argument !== '--no-build');
if (!process.argv.includes('--no-build')) {
  installPackages();
  buildAddon();
  compileFace();
}
const cases = wanted.length > 0 ? wanted : ['*'];
const printProgress = (name, number, total) =>
  process.stderr.isTTY && process.stderr.write(`\r${name} (${number}/${total})   `);
const { passed, failed, elapsedMs } = await runCases(cases, printProgress).catch((error) =>
  fail(`the Autobahn suite cannot be run: ${error.message}`),
);
for (const name of failed) console.log(`failed: ${name}`);
console.log(`in ${(elapsedMs / 1000).toFixed(0)} s`);
console.log(`${passed} passed, ${failed.length} failed`);
process.exit(failed.length === 0 ? 0 : 1);
