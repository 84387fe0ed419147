// The committed typings as plain records, for the pages that are made of them.
import { join } from 'node:path';

import ts from 'typescript';

import { ENTRIES } from '../lib/entries.mjs';
import { root } from '../lib/run.mjs';

/**
 * @typedef {object} Documented
 * @property {string} name
 * @property {string} signature Its declaration in one line, without the members of a class or an interface.
 * @property {string} doc Markdown.
 * @property {string} example A fenced block of code, or nothing.
 * @property {string} kind `class`, `function`, `interface`, `type` or `value`.
 * @property {boolean} isValue Whether it is there at run time.
 * @property {Documented[]} members
 */

/** Import specifier → the public names of that entry, in alphabetical order. */
export function entries() {
  return Object.fromEntries(ENTRIES.map(({ specifier, typings }) => [specifier, publicNames(join(root, typings))]));
}

function publicNames(file) {
  const program = ts.createProgram([file], { types: ['node'], module: ts.ModuleKind.NodeNext });
  const checker = program.getTypeChecker();
  const module = checker.getSymbolAtLocation(program.getSourceFile(file));
  return checker
    .getExportsOfModule(module)
    .map((symbol) => describe(symbol, checker))
    .sort((a, b) => a.name.localeCompare(b.name, 'en'));
}

const KINDS = {
  [ts.SyntaxKind.ClassDeclaration]: 'class',
  [ts.SyntaxKind.FunctionDeclaration]: 'function',
  [ts.SyntaxKind.InterfaceDeclaration]: 'interface',
  [ts.SyntaxKind.VariableDeclaration]: 'value',
  [ts.SyntaxKind.TypeAliasDeclaration]: 'type',
};

function describe(exported, checker) {
  // What is exported by another name than its own is declared under that.
  const isAlias = (exported.flags & ts.SymbolFlags.Alias) !== 0;
  const symbol = isAlias ? checker.getAliasedSymbol(exported) : exported;
  const [declaration] = symbol.declarations;
  const members = (declaration.members ?? []).filter(isPublic).map((member) => ({
    name: member.name?.getText() ?? 'constructor',
    signature: text(member),
    ...documentation(member.symbol ?? checker.getSymbolAtLocation(member.name), checker, member),
    kind: 'member',
    members: [],
  }));
  return {
    name: exported.name,
    kind: KINDS[declaration.kind] ?? 'value',
    isValue: (symbol.flags & ts.SymbolFlags.Value) !== 0,
    signature: declaration.members ? heading(declaration) : text(declaration),
    ...documentation(symbol, checker, declaration),
    members,
  };
}

function isPublic(member) {
  const flags = ts.getCombinedModifierFlags(member);
  return !(flags & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected)) && !member.name?.getText().startsWith('#');
}

const text = (node) =>
  node
    .getText()
    .replace(/\/\*\*.*?\*\//gs, '')
    .replace(/^export (declare )?/, '')
    .replace(/\s+/g, ' ')
    .replace(/^readonly |;$/g, '')
    .trim();

/** A class or an interface without its body. */
function heading(declaration) {
  const [first] = declaration.members;
  const source = text(declaration);
  return first ? source.slice(0, source.indexOf('{')).trim() : source;
}

/** The documentation of one declaration, its tags as sentences, and its examples. */
function documentation(symbol, checker, declaration) {
  const overload = ts.isFunctionLike(declaration) && checker.getSignatureFromDeclaration(declaration);
  const source = overload || symbol;
  const parts = overload ? source.getDocumentationComment(checker) : symbol.getDocumentationComment(checker);
  const [examples, others] = [true, false].map((isExample) =>
    source.getJsDocTags(checker).filter(({ name }) => (name === 'example') === isExample),
  );
  const tags = others.map((tag) => {
    const sentence = ts.displayPartsToString(tag.text).replace(/^(\w+) (?=[A-Z])/, '`$1`: ');
    return tag.name === 'param' ? sentence : `Throws ${sentence}`;
  });
  return {
    doc: [plain(ts.displayPartsToString(parts)), ...tags.map(plain)].filter(Boolean).join(' '),
    example: examples.map(({ text }) => ts.displayPartsToString(text)).join('\n\n'),
  };
}

const plain = (doc) =>
  doc
    .replace(/\{@link ([^}]+)\}/g, '`$1`')
    .replace(/\n(?=[^\n-])(?<!\n\n)/g, ' ')
    .trim();
