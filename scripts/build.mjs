// Builds the addon, the compiled face and the public typings: `npm run build [-- --release]`.
//
// 1. napi compiles the addon and writes the native typings beside it, which are completed;
// 2. TypeScript compiles lib/ to CommonJS;
// 3. dts-bundle-generator folds the typings of each entry into one file at the root.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';

import { completeNativeTypings } from './lib/native-typings.mjs';
import { hostTarget, installPackages, isMain, root, runTool } from './lib/run.mjs';
import { sysrootEnvironment } from './lib/sysroot.mjs';
import { bundleTypings } from './lib/typings.mjs';

export function buildAddon({ release = false, testHooks = !release, directory = 'dist' } = {}) {
  // The bridge's test functions are in no build that ships.
  const flavour = [...(release ? ['--release'] : []), ...(testHooks ? ['--features', 'test-hooks'] : [])];
  const out = ['--platform', '--no-js', '--dts', 'native.d.ts', '--output-dir', directory];
  const target = hostTarget();
  runTool('napi', ['build', '--target', target, ...flavour, ...out], {
    stdio: ['ignore', 'ignore', 'inherit'],
    // What users get runs on older systems than the one that it was built on.
    env: { ...process.env, ...(release ? sysrootEnvironment(target) : {}) },
  });
  completeNativeTypings(join(root, directory, 'native.d.ts'));
}

export function compileFace() {
  removeStale(join(root, 'dist'), join(root, 'lib'));
  runTool('tsc', ['--project', 'lib/tsconfig.json']);
}

/** Removes what an older lib/ was compiled to: a file `libsql.js` would hide the folder `libsql`. */
function removeStale(compiled, source) {
  for (const { parentPath, name } of readdirSync(compiled, { withFileTypes: true, recursive: true })) {
    const path = join(parentPath, name);
    if (!name.endsWith('.js')) continue;
    if (!existsSync(join(source, relative(compiled, path).replace(/\.js$/, '.ts')))) rmSync(path);
  }
}

if (isMain(import.meta.url)) {
  installPackages();
  if (process.argv.includes('--clean')) rmSync(join(root, 'dist'), { recursive: true, force: true });
  buildAddon({ release: process.argv.includes('--release') });
  compileFace();
  bundleTypings();
}
