// The noun of a service is its name everywhere; what a service lacks is said in its `mod.rs`.

/** The places of a service's noun. `net` has those of the ways to reach a host. */
const PLACES = {
  src: (tree, noun) => tree.has(`src/${noun}`),
  lib: (tree, noun) => tree.has(`lib/${noun}`),
  __test__: (tree, noun) => tree.has(`__test__/${noun}`),
  'docs/services': (tree, noun) => tree.has(`docs/services/${noun}.md`),
  bench: (tree, noun) => tree.has(`bench/${noun}.mjs`),
};
const MODULES = ['config', 'connect', 'service', 'error'];

export function nouns(tree) {
  return tree.folders('crates/services/src').flatMap((noun) => {
    const file = `crates/services/src/${noun}/mod.rs`;
    const story = tree.read(file);
    const modules = MODULES.filter(
      (name) => !tree.has(`crates/services/src/${noun}/${name}.rs`) && !saysWhy(story, name),
    );
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
