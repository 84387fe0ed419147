// Rules of the floors that Cargo does not enforce.
import { stripCommentsAndTests } from './tree.mjs';

export function purityProblems(tree) {
  return [...coreProblems(tree), ...bindingProblems(tree), ...faceProblems(tree)];
}

const matchesOf = (file, text, rules) =>
  rules.filter(([pattern]) => pattern.test(text)).map(([, problem]) => ({ file, problem }));

/** Floor 0 reads no clock: `now` is an argument. */
const CORE_RULES = [[/\b(Instant|SystemTime)::now\b/, 'reads the clock, which floor 0 has not']];

function coreProblems(tree) {
  return tree
    .files('crates/core/src', '.rs')
    .flatMap((file) => matchesOf(file, stripCommentsAndTests(tree.read(file)), CORE_RULES));
}

/** Floor 3 has no times and makes no failures of its own. */
const BINDING_RULES = [
  [/\btokio::time\b|\bsleep\(|\btimeout\(/, 'waits, which floor 3 does not'],
  [/\bconst \w+: (Limit<)?Duration\b/, 'has a time of its own, which floor 3 has not'],
  [/\bFailure::new\b/, 'makes a failure, which floor 3 does not'],
];

function bindingProblems(tree) {
  return tree
    .files('src', '.rs')
    .filter((file) => !file.startsWith('src/bridge/') && file !== 'src/test_hooks.rs')
    .flatMap((file) => matchesOf(file, stripCommentsAndTests(tree.read(file)), BINDING_RULES));
}

/** The face has no table of errors and chooses no number. */
const FACE_RULES = [
  [/\bretryable: (true|false)\b/, 'decides what is retryable'],
  [/\?\?=? \d[\d_.]*\b/, 'chooses a number'],
];

function faceProblems(tree) {
  return tree
    .files('lib', '.ts')
    .flatMap((file) => matchesOf(file, tree.read(file).replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, ''), FACE_RULES));
}
