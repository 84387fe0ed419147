// Retired words: names that gave way to the field's own, in the folders where they did (vocabulary.json: folders → retired
// word → word to use). Looked up in names of files and in names that are defined; public names are excepted.
import { basename } from 'node:path';

const RUST =
  /\b(?:fn|struct|enum|trait|type|const|static|mod|union)\s+(?:mut\s+)?(\w+)|^\s*(?:pub(?:\([^)]*\))?\s+)?(\w+):\s|^\s{4}(\w+)(?:\s*[,({]|\s*=)/gm;
const TYPESCRIPT =
  /\b(?:function|class|interface|type|const|let|enum)\s+(\w+)|^\s+(?:(?:private|protected|public|static|readonly|async|get|set|abstract|override)\s+)*#?(\w+)(?:<[^>]*>)?[(:?]/gm;

export function vocabularyProblems(tree) {
  const words = JSON.parse(tree.read('scripts/check/vocabulary.json'));
  const published = publicNames(tree);
  return Object.entries(words).flatMap(([folders, retired]) =>
    folders.split(' ').flatMap((folder) =>
      tree.files(folder, '.rs', '.ts').flatMap((file) => {
        const names = new Set([basename(file), ...definedNames(tree.read(file), file)]);
        return [...names]
          .filter((name) => Object.hasOwn(retired, name) && !published.has(name))
          .map((name) => ({ file, problem: `defines ${name}, which is called ${retired[name]} here` }));
      }),
    ),
  );
}

function* definedNames(text, file) {
  const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '').replace(/#\[cfg\(test\)\]\nmod \w+ \{[\s\S]*$/, '');
  for (const [, ...names] of code.matchAll(file.endsWith('.rs') ? RUST : TYPESCRIPT)) yield names.find(Boolean);
}

/** The names in the committed typings. */
function publicNames(tree) {
  const { exports } = JSON.parse(tree.read('package.json'));
  const typings = Object.values(exports)
    .flatMap(({ types }) => (types ? [types.replace('./', '')] : []))
    // Those of a new entry are not written yet.
    .filter((file) => tree.has(file));
  return new Set(
    typings.flatMap(
      (file) => tree.read(file).match(/\b\w+\b(?=\s*[(:?<{=])|\b(?:class|interface|type|function) \w+/g) ?? [],
    ),
  );
}
