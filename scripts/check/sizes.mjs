// Sizes: lines of a file, files directly in a folder.
import { basename, dirname } from 'node:path';

const MAX_LINES = 400;
const MAX_BINDING_LINES = 250;
const MAX_FILES = 20;
const MAX_TEST_FILES = 25;

const isBinding = (file) => file.startsWith('src/') && !file.startsWith('src/bridge/');

export function sizeProblems(tree) {
  const code = [
    ...tree.files('src', '.rs'),
    ...tree.files('crates', '.rs'),
    ...tree.files('lib', '.ts'),
    ...tree.files('scripts', '.mjs'),
  ];
  const longFiles = code.flatMap((file) => {
    const lines = tree.read(file).split('\n').length - 1;
    const budget = isBinding(file) ? MAX_BINDING_LINES : MAX_LINES;
    return lines > budget ? [{ file, problem: `${lines} lines, the budget is ${budget}` }] : [];
  });
  const unnamedFiles = code
    .filter((file) => /^(utils?|helpers?|common|types|misc)$/i.test(basename(file).replace(/\.\w+$/, '')))
    .map((file) => ({ file, problem: 'a module named for nothing' }));
  return [...longFiles, ...unnamedFiles, ...crowdedFolders(tree, code)];
}

function crowdedFolders(tree, code) {
  const counts = new Map();
  for (const file of [...code, ...tree.files('__test__', '.ts', '.mts', '.cts')]) {
    counts.set(dirname(file), (counts.get(dirname(file)) ?? 0) + 1);
  }
  return [...counts].flatMap(([file, count]) => {
    const budget = /(^|\/)(__test__|tests)(\/|$)/.test(file) ? MAX_TEST_FILES : MAX_FILES;
    return count > budget ? [{ file, problem: `${count} files, the budget of a folder is ${budget}` }] : [];
  });
}
