// The tests of the bridge under AddressSanitizer: `npm run test:asan [-- <part of a file name> …]`, on Linux with gcc.
//
// Our own crates are instrumented; the allocator of the whole process, SQLite's and V8's too, is the sanitizer's. The
// ordinary build is put back at the end.
import { copyFileSync, existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';

import { buildAddon, compileFace } from './build.mjs';
import { fail, hostTarget, installPackages, readOutput, root, run } from './lib/run.mjs';

const runtime = process.platform === 'linux' && readOutput('cc', ['-print-file-name=libasan.so']);
if (!runtime || !existsSync(runtime)) fail('AddressSanitizer needs Linux, and the libasan of gcc');

installPackages();
buildAddon();
compileFace();

run('cargo', ['build', '--quiet', '--features', 'test-hooks', '--target', hostTarget()], {
  env: { ...process.env, RUSTC_WORKSPACE_WRAPPER: join(root, 'scripts', 'asan', 'rustc.sh') },
});

const addon = join(root, 'dist', `moorline.linux-${process.arch}-gnu.node`);
if (!existsSync(addon)) fail(`there is no ${addon}`);
const ordinary = `${addon}.ordinary`;
renameSync(addon, ordinary);
process.on('exit', () => renameSync(ordinary, addon));
copyFileSync(join(root, 'target', hostTarget(), 'debug', 'libmoorline.so'), addon);

const names = process.argv.slice(2);
run(process.execPath, [join(root, 'scripts', 'test.mjs'), ...(names.length > 0 ? names : ['bridge', 'hostile'])], {
  env: {
    ...process.env,
    LD_PRELOAD: runtime,
    // V8 frees nothing at its end, and C libraries share names of constants.
    ASAN_OPTIONS: 'detect_leaks=0:detect_odr_violation=0:abort_on_error=1',
  },
});
