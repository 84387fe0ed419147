// Runs one bench against a release build: `npm run bench -- <name> [--json]`.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { buildAddon, compileFace } from './build.mjs';
import { fail, installPackages, root, run } from './lib/run.mjs';

const [name, ...options] = process.argv.slice(2);
const file = join(root, 'bench', `${name}.mjs`);
if (!name || !existsSync(file)) {
  const known = readdirSync(join(root, 'bench')).filter((entry) => entry.endsWith('.mjs') && entry !== 'harness.mjs');
  fail(`usage: npm run bench -- ${known.map((entry) => entry.replace('.mjs', '')).join('|')} [--json]`);
}
installPackages();
installPackages(join(root, 'bench'));
if (!options.includes('--no-build')) {
  // Only the bridge's bench asks for the test functions.
  buildAddon({ release: true, testHooks: name === 'bridge' });
  compileFace();
}
run(process.execPath, ['--expose-gc', file, ...options.filter((option) => option !== '--no-build')]);
