// Everything that can be said without running the product: `npm run check`.
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { buildAddon, compileFace } from './build.mjs';
import { fail, hostTarget, installPackages, isMain, root, run, stage, tool } from './run.mjs';
import { staleTypings } from './typings.mjs';

export async function check() {
  await stage('packages', () => installPackages());
  await stage('format', () => {
    run('cargo', ['fmt', '--all', '--check']);
    tool('prettier', ['--check', '--log-level', 'warn', '.']);
  });
  await stage('architecture', () => run(process.execPath, [join(root, 'scripts', 'architecture.mjs')]));
  // In a process of its own: its linter comes from the packages that were installed above.
  await stage('workflows', () => run(process.execPath, [join(root, 'scripts', 'workflows.mjs')]));
  await stage('clippy', () =>
    run('cargo', [
      ...['clippy', '--quiet', '--workspace', '--lib', '--tests', '--features', 'probe', '--target', hostTarget()],
      ...['--', '-D', 'warnings'],
    ]),
  );
  await stage('build', () => {
    buildAddon();
    compileFace();
  });
  await stage('types', () => {
    const stale = staleTypings();
    if (stale.length > 0)
      fail(`${stale.join(', ')} no longer says what lib/ says: run \`npm run build\` and review it`);
    tool('tsc', ['--project', '.']);
    for (const resolution of ['node16', 'bundler']) {
      const project = join('__test__', 'types', `tsconfig.${resolution}.json`);
      if (existsSync(join(root, project))) tool('tsc', ['--project', project]);
    }
  });
  await stage('docs', () => run(process.execPath, [join(root, 'scripts', 'docs.mjs'), '--check']));
}

if (isMain(import.meta.url)) await check();
