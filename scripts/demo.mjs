// The main job on the embedded default, from a bare clone: `npm run demo`.
import { buildAddon, compileFace } from './build.mjs';
import { installPackages, run } from './lib/run.mjs';

installPackages();
console.log('Building the addon (the first time takes a few minutes) …');
buildAddon();
compileFace();
run(process.execPath, ['--import', 'tsx', 'examples/pipeline.ts']);
