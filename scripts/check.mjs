// Everything that can be checked without running the product: `npm run check`.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { buildAddon, compileFace } from './build.mjs';
import { fail, hostTarget, installPackages, isMain, root, run, runStage, succeeds, runTool } from './lib/run.mjs';
import { staleTypings } from './lib/typings.mjs';

const script = (name, ...args) => run(process.execPath, [join(root, 'scripts', name), ...args]);

const STAGES = {
  packages: () => installPackages(),
  rustfmt: () => run('cargo', ['fmt', '--all', '--check']),
  prettier: () => runTool('prettier', ['--check', '--log-level', 'warn', '.']),
  text: () => script('check/text.mjs'),
  recipe: () => script('check/recipe/recipe.mjs'),
  workflows: () => script('check/workflows.mjs'),
  clippy: () =>
    run('cargo', [
      ...['clippy', '--quiet', '--workspace', '--lib', '--tests', '--features', 'test-hooks', '--target', hostTarget()],
      ...['--', '-D', 'warnings'],
    ]),
  build() {
    buildAddon();
    compileFace();
  },
  async types() {
    const stale = staleTypings();
    if (stale.length > 0)
      fail(`${stale.join(', ')} no longer says what lib/ says: run \`npm run build\` and review it`);
    runTool('tsc', ['--project', '.']);
    const { writeConsumers } = await import('./check/consumers.mjs');
    writeConsumers(join(root, 'target', 'types'));
    for (const resolution of ['node16', 'bundler']) {
      const project = join('__test__', 'types', `tsconfig.${resolution}.json`);
      if (existsSync(join(root, project))) runTool('tsc', ['--project', project]);
    }
  },
  docs: () => script('docs.mjs', '--check'),
};

/** Without these nothing after them can be said. */
export const REQUIRED_STAGES = ['packages', 'build'];

/** Runs every stage, each in a process of its own, so that one that fails hides no other; gives the names of those. */
export async function check() {
  const failed = [];
  for (const name of Object.keys(STAGES)) {
    await runStage(name, () => {
      if (!succeeds(process.execPath, [fileURLToPath(import.meta.url), name])) failed.push(name);
    });
    if (REQUIRED_STAGES.includes(failed.at(-1))) break;
  }
  return failed;
}

if (isMain(import.meta.url)) {
  const [name] = process.argv.slice(2);
  if (name) await STAGES[name]();
  else {
    const failed = await check();
    if (failed.length > 0) fail(`failed: ${failed.join(', ')}`);
  }
}
