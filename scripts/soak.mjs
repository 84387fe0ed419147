// The long form of the leak tests: `npm run soak -- <part of a service's name> … [--minutes 5]`.
//
// Each service that fits works for so many minutes, shared by its operations, failures and aborts. `hostile` is none of
// them: hostile callers, servers and ends of threads, each for a minute; `--seed` repeats what one run found.
import { buildAddon, compileFace } from './build.mjs';
import { installPackages, run } from './run.mjs';

installPackages();
buildAddon();
compileFace();
run(process.execPath, ['--import', 'tsx', '__test__/support/soak.ts', ...process.argv.slice(2)]);
