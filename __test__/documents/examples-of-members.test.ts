// The `@example` blocks of the public typings: each compiles under `tsc --strict`, runs, prints what its comments say, and
// lets the process exit.
//
// Four things stand for others here: the origin `api.example.com` is a server that answers a request with RECORD, a request for
// an event stream with one event of it, and a WebSocket with an echo; `bastion.example.com` is an SSH server, in which our user
// has the key; the database `orders` of localhost is one of a server of ours; NIXTLA_API_KEY and NIXTLA_BASE_URL name a local service.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import ts from 'typescript';

import { compile, type Snippet } from '../specification/compile';
import { NixtlaServer } from '../nixtla/server/server';
import { type SocketServer, socketServer } from '../support/connections';
import { root } from '../support/paths';
import { peersMissing } from '../support/peers';
import { Postgres, skipWithoutPostgres } from '../support/postgres';
import { skipWithoutSshd, Sshd } from '../support/sshd';

const RECORD = JSON.stringify({ id: 7, name: 'Ada' });

interface Example {
  /** The declaration that it documents. */
  declaration: string;
  code: string;
}

/** The examples of one file of typings. */
function examplesOf(typings: string): Example[] {
  const source = ts.createSourceFile(typings, readFileSync(join(root, typings), 'utf8'), ts.ScriptTarget.Latest, true);
  const examples: Example[] = [];
  const visit = (node: ts.Node, outer: string): void => {
    const name = nameOf(node);
    const path = name && outer ? `${outer}.${name}` : name || outer;
    for (const comment of ts.getJSDocCommentsAndTags(node)) {
      if (comment.parent !== node || !ts.isJSDoc(comment)) continue;
      for (const tag of comment.tags ?? []) {
        if (tag.tagName.text !== 'example') continue;
        const text = ts.getTextOfJSDocComment(tag.comment) ?? '';
        const [, code] = /^```ts\n(.+\n)```$/s.exec(text.trim()) ?? [];
        assert.ok(code, `the example of ${path} in ${typings} is no block of TypeScript`);
        examples.push({ declaration: path, code });
      }
    }
    ts.forEachChild(node, (child) => visit(child, path));
  };
  visit(source, '');
  return examples;
}

function nameOf(node: ts.Node): string {
  if (ts.isConstructorDeclaration(node)) return 'constructor';
  const isNamed = ts.isClassElement(node) || ts.isTypeElement(node) || ts.isDeclarationStatement(node);
  return (isNamed && node.name?.getText()) || '';
}

/** The classes of a file of typings. */
function classesOf(typings: string): string[] {
  const exported = /^export declare (?:abstract )?class (\w+)/gm;
  return [...readFileSync(join(root, typings), 'utf8').matchAll(exported)].map(([, name = '']) => name);
}

const directory = join(root, 'target', `examples-${process.pid}`);
const typings = ['index.d.ts', 'libsql.d.ts'];
const examples = typings.flatMap(examplesOf);

const SSH_HOST = 'bastion.example.com';
const skipSsh = skipWithoutSshd();
const DATABASE = 'postgres://app:secret@localhost/orders';
const skipPostgres = skipWithoutPostgres();

describe('@example', { skip: peersMissing(), concurrency: 2 }, () => {
  let server: SocketServer;
  let nixtla: NixtlaServer;
  let sshd: Sshd | undefined;
  let postgres: Postgres | undefined;
  let snippets: Map<number, Snippet>;

  before(async () => {
    mkdirSync(directory, { recursive: true });
    nixtla = await NixtlaServer.start();
    const httpServer = createServer((request, response) => {
      const isStream = request.headers.accept?.includes('text/event-stream') === true;
      response.writeHead(200, { 'content-type': isStream ? 'text/event-stream' : 'application/json' });
      if (isStream) response.write(`id: 1\ndata: ${RECORD}\n\n`);
      else response.end(RECORD);
    });
    server = await socketServer(undefined, {}, httpServer);
    if (skipSsh === false) sshd = await Sshd.start();
    if (!skipPostgres) postgres = await Postgres.start();
    const withLocalUrls = (code: string) =>
      withLocalDatabase(withLocalLogin(code, sshd), postgres)
        .replaceAll('wss://api.example.com', server.url)
        .replaceAll('https://api.example.com', server.url.replace('ws:', 'http:'));
    const blocks = examples.map(({ declaration, code }, index) => {
      return { number: index, heading: declaration, language: 'ts', line: 1, code: withLocalUrls(code) };
    });
    const edits = Object.fromEntries(blocks.map(({ number }) => [number, { replace: [], exposes: [] }]));
    snippets = compile('examples-of-members', blocks, edits);
  });
  after(async () => {
    await server?.close();
    await nixtla?.close();
    await sshd?.stop();
    await postgres?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  test('every class has one', () => {
    const documented = new Set(examples.map(({ declaration }) => declaration.split('.')[0]));
    const classes = typings.flatMap(classesOf);
    assert.ok(classes.length > 0);
    assert.deepEqual(
      classes.filter((name) => !documented.has(name)),
      [],
    );
  });

  for (const [index, { declaration, code }] of examples.entries()) {
    const skip = (code.includes(SSH_HOST) && skipSsh) || (code.includes(DATABASE) && skipPostgres);
    test(`that of ${declaration} prints what it says`, { skip }, async () => {
      const snippet = snippets.get(index)!;
      assert.equal(snippet.diagnostics, '', snippet.source);
      const env = { ...process.env, NIXTLA_API_KEY: nixtla.key, NIXTLA_BASE_URL: nixtla.url };
      const [stdout, stderr] = await run(snippet.script, env);
      const promised = [...code.matchAll(/console\.log\(.*\)[;,]? \/\/ (.+)$/gm)].map(([, comment]) => comment);
      assert.deepEqual([stdout.trimEnd(), stderr], [promised.join('\n'), '']);
    });
  }
});

/** The options of a tunnel to a server of this machine, in place of those to another's. */
function withLocalLogin(code: string, sshd: Sshd | undefined): string {
  if (!sshd) return code;
  const { sshPort, sshUsername, sshKeyPath, hostKeyFingerprint } = sshd.config;
  const login = JSON.stringify({ sshPort, hostKeyFingerprint }).slice(1, -1);
  return code
    .replaceAll(`'${SSH_HOST}',`, `'127.0.0.1', ${login},`)
    .replaceAll("sshUsername: 'deploy'", `sshUsername: '${sshUsername}'`)
    .replaceAll("'~/.ssh/id_ed25519'", `'${sshKeyPath}'`);
}

/** The database of a server of ours, in place of one that the reader has. */
function withLocalDatabase(code: string, postgres: Postgres | undefined): string {
  if (!postgres) return code;
  const { host, port, user, password, database } = postgres.config;
  return code.replaceAll(DATABASE, `postgres://${user}:${password}@${host}:${port}/${database}`);
}

/** Runs a module to its end. */
function run(script: string, env: NodeJS.ProcessEnv): Promise<[stdout: string, stderr: string]> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [script], { cwd: directory, env, timeout: 30_000 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${error.message}\n${stdout}`));
      else resolve([stdout, stderr]);
    });
  });
}
