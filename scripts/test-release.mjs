// The package test on what users get, a release build: `npm run test:release [-- --binaries <directory>]`.
//
// Without a directory, in which this machine's binary alone must be, it builds one, beside the build that the other
// tests run on.
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

import { buildAddon, compileFace } from './build.mjs';
import { installPackages, root, run, runStage } from './lib/run.mjs';

const BUILT = join('target', 'binaries');

const at = process.argv.indexOf('--binaries');
const binaries = at === -1 ? join(root, BUILT) : resolve(process.argv[at + 1]);
installPackages();
if (at === -1) await runStage('release build', () => buildAddon({ release: true, directory: BUILT }));
const typings = join(root, 'dist', 'native.d.ts');
if (!existsSync(typings)) {
  mkdirSync(dirname(typings), { recursive: true });
  if (at === -1) copyFileSync(join(binaries, 'native.d.ts'), typings);
  else buildAddon();
}
compileFace();
run(process.execPath, [join(root, 'scripts', 'test.mjs'), 'package.test'], {
  env: { ...process.env, MOORLINE_BINARIES: binaries },
});
