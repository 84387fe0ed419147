// The checks that read text alone: `node scripts/check/text.mjs`. Says nothing when all is well.
import { isMain, root } from '../lib/run.mjs';
import { bans } from './bans.mjs';
import { benches } from './benches.mjs';
import { commands } from './commands.mjs';
import { floors } from './floors.mjs';
import { imports } from './imports.mjs';
import { lists } from './lists.mjs';
import { nouns } from './nouns.mjs';
import { purity } from './purity.mjs';
import { references } from './references.mjs';
import { sizes } from './sizes.mjs';
import { Tree, withoutExceptions } from './tree.mjs';
import { vocabulary } from './vocabulary.mjs';

/** Problems that stay, each with its reason: check → `file: problem` → reason. The list only shrinks. */
const EXCEPTIONS = 'scripts/check/exceptions.json';

export const CHECKS = { bans, benches, commands, floors, imports, lists, nouns, purity, references, sizes, vocabulary };

/** What is wrong with a tree, a line each. */
export function problemsOf(tree) {
  const exceptions = JSON.parse(tree.read(EXCEPTIONS));
  return Object.entries(CHECKS).flatMap(([name, check]) =>
    withoutExceptions(check(tree), exceptions[name] ?? {}).map(({ file, problem }) => `${file}: ${problem}`),
  );
}

if (isMain(import.meta.url)) {
  const problems = problemsOf(new Tree(root));
  if (problems.length > 0) {
    console.error(problems.join('\n'));
    process.exit(1);
  }
}
