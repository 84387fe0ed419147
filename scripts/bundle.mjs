// Puts the compiled face into one file, for the package: Node.js takes longer to find and read seventy files than to run
// what is in them.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { buildSync } from 'esbuild';

import { root } from './run.mjs';

/** The ways into the package; what they share is there once. */
const ENTRIES = ['index', 'libsql'];

/** Writes `moorline.js` and the entries that open it. What an entry does not need is read with it, but not run. */
export function bundleFace(directory) {
  buildSync({
    stdin: {
      contents: ENTRIES.map((entry) => `exports.${entry} = () => require('./${entry}.js');`).join('\n'),
      resolveDir: join(root, 'dist'),
    },
    bundle: true,
    // The binaries, in packages of their own.
    external: ['moorline-*'],
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    logLevel: 'error',
    outfile: join(directory, 'moorline.js'),
  });
  for (const entry of ENTRIES) {
    // The last line is never run: it is how Node.js learns which names can be imported.
    const code = `"use strict";
const { ${entry} } = require("./moorline.js");
module.exports = ${entry}();
0 && (module.exports = { ${namesOf(entry).join(', ')} });
`;
    writeFileSync(join(directory, `${entry}.js`), code);
    const name = entry === 'index' ? 'moorline' : `moorline/${entry}`;
    // What webpack's own condition leads to: its bundle asks for the package when it runs, because webpack itself can
    // read no binary.
    writeFileSync(
      join(directory, `${entry}.webpack.js`),
      `module.exports = __non_webpack_require__(${JSON.stringify(name)});\n`,
    );
  }
}

function namesOf(entry) {
  const built = buildSync({
    entryPoints: [join(root, 'lib', `${entry}.ts`)],
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
