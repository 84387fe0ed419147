// The recipes of CONTRIBUTING.md, followed for a dummy service with an entry point of its own: their files
// are added to a copy of the tree in memory, in which the text checks must find no problem. __test__/documents/recipe.test.ts compiles them.
import { isMain, root } from '../../lib/run.mjs';
import { problemsOf } from '../text.mjs';
import { Tree } from '../tree.mjs';
import { FILES, LISTS, substituteNoun } from './dummy.mjs';

const RECIPES = ['Adding a service', 'Adding an entry point'];

/** The paths that the recipes name, in their order. */
export function pathsOf(contributing) {
  return RECIPES.flatMap((title) => {
    const [, section = ''] = contributing.split(`\n## ${title}\n`);
    return [...section.split('\n## ')[0].matchAll(/^\| `([^`]+)` \|/gm)].map(([, path]) => path);
  });
}

/** Path → text of the files that the recipes add or change. */
export function recipeFiles(paths, read) {
  const rows = paths.map((path) => [path, FILES[path] ?? LISTS[path]]).filter(([, row]) => row && !row.reasonToOmit);
  return Object.fromEntries(
    rows.map(([path, row]) => [
      substituteNoun(path),
      typeof row === 'string' ? row : row.reduce(insertLine, read(path)),
    ]),
  );
}

function insertLine(text, { line, before }) {
  const lines = text.split('\n');
  const at = lines.findIndex((one) => before.test(one));
  if (at === -1) throw new Error(`the dummy finds no place for ${line}`);
  return lines.toSpliced(at, 0, line).join('\n');
}

/** The problems of a tree in which the recipes were followed, a line each. */
export function recipeProblems(paths = pathsOf(new Tree(root).read('CONTRIBUTING.md'))) {
  const known = [...Object.keys(FILES), ...Object.keys(LISTS)];
  return [
    ...paths.filter((path) => !known.includes(path)).map((path) => `scripts/check/recipe: the dummy lacks ${path}`),
    ...known.filter((path) => !paths.includes(path)).map((path) => `CONTRIBUTING.md: no recipe names ${path}`),
    ...problemsOf(
      new Tree(
        root,
        recipeFiles(paths, (path) => new Tree(root).read(path)),
      ),
    ),
  ];
}

if (isMain(import.meta.url)) {
  const problems = recipeProblems();
  if (problems.length > 0) {
    console.error(problems.join('\n'));
    process.exit(1);
  }
}
