// The checks that read text alone: `node scripts/check/text.mjs`. Says nothing when all is well.
import { isMain, root } from '../lib/run.mjs';
import { banProblems } from './bans.mjs';
import { benchProblems } from './benches.mjs';
import { commandProblems } from './commands.mjs';
import { floorProblems } from './floors.mjs';
import { importProblems } from './imports.mjs';
import { listProblems } from './lists.mjs';
import { nounProblems } from './nouns.mjs';
import { purityProblems } from './purity.mjs';
import { referenceProblems } from './references.mjs';
import { sizeProblems } from './sizes.mjs';
import { Tree, applyExceptions } from './tree.mjs';
import { vocabularyProblems } from './vocabulary.mjs';

/** Problems that stay, each with its reason: check → `file: problem` → reason. The list only shrinks. */
const EXCEPTIONS = 'scripts/check/exceptions.json';

export const CHECKS = {
  bans: banProblems,
  benches: benchProblems,
  commands: commandProblems,
  floors: floorProblems,
  imports: importProblems,
  lists: listProblems,
  nouns: nounProblems,
  purity: purityProblems,
  references: referenceProblems,
  sizes: sizeProblems,
  vocabulary: vocabularyProblems,
};

/** What is wrong with a tree, a line each. */
export function problemsOf(tree) {
  const exceptions = JSON.parse(tree.read(EXCEPTIONS));
  return Object.entries(CHECKS).flatMap(([name, check]) =>
    applyExceptions(check(tree), exceptions[name] ?? {}).map(({ file, problem }) => `${file}: ${problem}`),
  );
}

if (isMain(import.meta.url)) {
  const problems = problemsOf(new Tree(root));
  if (problems.length > 0) {
    console.error(problems.join('\n'));
    process.exit(1);
  }
}
