// What a command of package.json may import before it has installed anything: Node.js and files of ours.
import { dirname, join } from 'node:path';

export function commandProblems(tree) {
  return tree
    .files('scripts', '.mjs')
    .filter((file) => file.split('/').length === 2 && /\binstallPackages\(/.test(tree.read(file)))
    .flatMap((file) => [...earlyImportProblems(tree, file)].map((problem) => ({ file, problem })));
}

/** The packages that are loaded with a file, by itself or by what it imports, each with the file that names it. */
function earlyImportProblems(tree, start) {
  const found = new Set();
  const reached = new Set([start]);
  for (const file of reached) {
    for (const [, path] of tree.read(file).matchAll(/^(?:import|export|\})\s(?:.* from )?(?:from )?'([^']+)';$/gm)) {
      if (path.startsWith('.')) reached.add(join(dirname(file), path));
      else if (!path.startsWith('node:')) found.add(`loads ${path} before it is installed, by ${file}`);
    }
  }
  return found;
}
