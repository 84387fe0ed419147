// Puts the compiled face into one file, for the package: Node.js takes longer to find and read seventy files than to run
// what is in them.
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { ENTRIES } from './entries.mjs';
import { root } from './run.mjs';

/** Writes the entries of the package in `directory`, and `dist/moorline.js`, which they share. What an entry does not need is read with it, but not run. */
export function bundleFace(directory) {
  // Only here, because what imports this file may first have to install it.
  const { buildSync } = createRequire(import.meta.url)('esbuild');
  buildSync({
    stdin: {
      contents: ENTRIES.map(({ name, main }) => `exports.${name} = () => require('./${main}');`).join('\n'),
      resolveDir: root,
    },
    bundle: true,
    // The binaries, in packages of their own.
    external: ['moorline-*'],
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    logLevel: 'error',
    outfile: join(directory, 'dist', 'moorline.js'),
  });
  for (const entry of ENTRIES) {
    const path = join(directory, entry.main);
    mkdirSync(dirname(path), { recursive: true });
    // The last line is never run: it is how Node.js learns which names can be imported.
    const code = `"use strict";
const { ${entry.name} } = require("../moorline.js");
module.exports = ${entry.name}();
0 && (module.exports = { ${namesOf(entry, buildSync).join(', ')} });
`;
    writeFileSync(path, code);
    // What webpack's own condition leads to: its bundle asks for the package when it runs, because webpack itself can
    // read no binary.
    writeFileSync(
      path.replace(/\.js$/, '.webpack.js'),
      `module.exports = __non_webpack_require__(${JSON.stringify(entry.specifier)});\n`,
    );
  }
}

function namesOf({ source }, buildSync) {
  const built = buildSync({
    entryPoints: [join(root, source)],
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
    metafile: true,
    write: false,
    outdir: 'out',
  });
  return Object.values(built.metafile.outputs)[0].exports;
}
