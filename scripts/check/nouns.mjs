// The noun of a service is its name everywhere; what a service lacks is said in its `mod.rs`.
import { basename } from 'node:path';

/** The places of a service's noun. */
const PLACES = {
  src: (tree, noun) => tree.has(`src/${noun}`),
  lib: (tree, noun) => tree.has(`lib/${noun}`),
  __test__: (tree, noun) => tree.has(`__test__/${noun}`),
  'docs/services': (tree, noun) => tree.has(`docs/services/${noun}.md`),
  bench: (tree, noun) => tree.has(`bench/${noun}.mjs`),
};
const MODULES = ['config', 'connect', 'service', 'error'];

/** Folders of floor 1 that are services to users. */
const ON_NET = ['ssh'];
/** Services that users know as a part of another. */
const PART_OF = { oauth: 'integrations' };

export function nounProblems(tree) {
  const folders = [
    ...tree.folders('crates/services/src').map((name) => `crates/services/src/${name}`),
    ...ON_NET.map((name) => `crates/net/src/${name}`).filter((folder) => tree.has(folder)),
  ];
  return folders.flatMap((folder) => {
    const file = `${folder}/mod.rs`;
    const noun = PART_OF[basename(folder)] ?? basename(folder);
    const story = tree.read(file);
    const isThere = (name) => tree.has(`${folder}/${name}.rs`) || tree.has(`${folder}/${name}/mod.rs`);
    const modules = MODULES.filter((name) => !isThere(name) && !saysWhy(story, name));
    const places = Object.entries(PLACES)
      .filter(([place, has]) => !has(tree, noun) && !saysWhy(story, place))
      .map(([place]) => place);
    return [
      ...modules.map((name) => ({ file, problem: `has no ${name}.rs and does not say why` })),
      ...places.map((place) => ({ file, problem: `${noun} is not in ${place}, and does not say why` })),
    ];
  });
}

/** Whether the module's story has a sentence on what it does not have: "No `connect.rs`: …". */
const saysWhy = (story, name) => new RegExp(`\\bNo \`${name.replace('/', '\\/')}(\\.rs)?\`: `).test(story);
