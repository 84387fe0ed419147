// docs/reference/errors.md
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { root } from '../lib/run.mjs';
import { codes as codeRows } from './codes.mjs';

const source = () => readFileSync(join(root, 'crates', 'core', 'src', 'error.rs'), 'utf8');

/** @param defaults The addon's table of what a failure of each kind is. */
export function errorsPage(typings, defaults) {
  const text = source();
  const names = new Map(typings.moorline.map((one) => [one.name, one]));
  const words = arms(text, 'as_str');
  const rows = variants(text, 'Kind').map(([kind, meaning]) => {
    const { code, delivery, retryable } = defaults[words[kind]];
    return `| \`${words[kind]}\` | \`${code}\` | ${meaning} | \`${delivery}\` | ${retryable ? 'yes' : 'no'} |`;
  });
  const fields = names
    .get('ErrorFields')
    .members.map(({ signature, doc }) => `| \`${signature.replace(/\|/g, '\\|')}\` | ${doc} |`);
  const classes = [...names.values()].filter(({ kind, name }) => kind === 'class' && name.endsWith('Error'));
  return `# Errors

A programmer's mistake is a \`TypeError\` or \`RangeError\` with Node's own code (\`ERR_INVALID_ARG_TYPE\`,
\`ERR_INVALID_ARG_VALUE\`, \`ERR_OUT_OF_RANGE\`) whose message begins with the option's path, or
\`ERR_INVALID_STATE\` for what an object cannot be asked (the \`data\` of a streamed answer). Constructors and synchronous
methods throw it at once, asynchronous methods reject with it (\`run\` of a policy
or a breaker throws it, when it is given no function). Everything that can go wrong at run time rejects with one of the classes below. Branch on \`kind\`; show \`message\`; log \`toJSON()\`.

## Kinds

\`code\` is what the usual client of the service gives, where it has one (\`ECONNREFUSED\`, \`SQLITE_CONSTRAINT\`); the code here is
the one used otherwise. \`delivery\` and \`retryable\` are where a kind starts: a service that knows more says more.

| kind | code | meaning | delivery | retryable |
|---|---|---|---|---|
${rows.join('\n')}

## Codes

Every code that moorline itself gives. A libSQL server and the forecast service may answer with codes of their own, which are handed on as they are
(\`rejected\`, \`auth\` or \`rate-limited\`, by the status). *If safe*: where provably nothing reached the server, or the call may be repeated by its nature. *By
status*: as for an HTTP status, 408, 425, 429 and most from 500 on are.

| code | kind or class | when | what to do | retryable |
|---|---|---|---|---|
${codeRows.map(([code, ...row]) => `| \`${code}\` | ${row.join(' | ')} |`).join('\n')}

## How far it got

| delivery | meaning |
|---|---|
${variants(text, 'Delivery')
  .map(([name, meaning]) => `| \`${name.toLowerCase()}\` | ${meaning} |`)
  .join('\n')}

## Fields

| field | |
|---|---|
${fields.join('\n')}

## Classes

${classes.map(({ name, signature, doc }) => `- \`${name}\`${signature.includes('extends') ? ` (${signature.replace(/^class \w+ /, '')})` : ''}: ${doc.replace(/\s*\n\s*/g, ' ')}`).join('\n')}
`;
}

/** The variants of an enum with the first paragraph of their documentation. */
function variants(text, name) {
  const body = text.match(new RegExp(`pub enum ${name} \\{(.*?)\\n\\}`, 's'))[1];
  return [...body.matchAll(/((?:\s*\/\/\/.*\n)+)\s*(\w+),/g)].map(([, doc, variant]) => [
    variant,
    doc.replace(/\s*\/\/\/ ?/g, ' ').trim(),
  ]);
}

/** Variant → string, from the arms of the first `match` in a function. */
function arms(text, name) {
  const body = text.match(new RegExp(`pub const fn ${name}\\(self\\).*?\\n    \\}`, 's'))[0];
  return Object.fromEntries(
    [...body.matchAll(/((?:Self::\w+[\s|]*)+)=> "([^"]+)"/g)].flatMap(([, variants, word]) =>
      [...variants.matchAll(/Self::(\w+)/g)].map(([, variant]) => [variant, word]),
    ),
  );
}
