// The long form of the leak tests: `npm run soak -- <part of a service's name> … [--minutes 5]`.
//
// Each service that fits works for so many minutes, shared by its operations, failures and aborts. Five are no services:
// `hostile`, callers, servers and ends of threads, each for a minute, and `sse-cursor`, readers that are killed, of both of which
// `--seed` repeats what one run found; `libsql`, the event loop beside a busy file of 1 GB that is not in memory; `ssh`, calls
// through a tunnel whose server, link or keys change; `postgres`, statements and transactions while their server, or the way to it,
// fails, and messages of a server that are cut and changed.
//
// `npm run soak -- properties [--cases 100000]` runs the Rust tests with so many random cases of each property instead.
import { buildAddon, compileFace } from './build.mjs';
import { hostTarget, installPackages, run } from './lib/run.mjs';

const [part, ...rest] = process.argv.slice(2);
if (part === 'properties') {
  const cases = rest[0] === '--cases' ? rest[1] : '100000';
  const optimized = ['profile.dev.opt-level=2', 'profile.dev.package.proptest.opt-level=2'];
  const args = ['test', '--workspace', '--no-fail-fast', '--features', 'test-hooks', '--target', hostTarget()];
  for (const setting of optimized) args.push('--config', setting);
  run('cargo', args, { env: { ...process.env, PROPTEST_CASES: cases } });
  process.exit();
}
installPackages();
buildAddon();
compileFace();
run(process.execPath, ['--import', 'tsx', '__test__/alone/soak/soak.ts', ...process.argv.slice(2)]);
