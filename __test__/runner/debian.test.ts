// Unpacking Debian packages on a machine without package lists, from a local mirror.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { root } from '../support/paths';

const script = join(root, 'scripts', 'lib', 'debian.mjs');
const skip = spawnSync('apt-get', ['--version']).error !== undefined && 'this system has no apt';

describe('packages of Debian', { skip, timeout: 120_000 }, () => {
  const workspace = mkdtempSync(join(tmpdir(), 'moorline-mirror-'));
  const unpacked = join(workspace, 'unpacked');
  let env: NodeJS.ProcessEnv;

  before(() => {
    const mirror = join(workspace, 'mirror');
    const [needed, needing] = [build('moorline-needed'), build('moorline-needing', 'Depends: moorline-needed\n')];
    write(join(mirror, 'Packages'), `${needed}\n${needing}`);
    write(join(workspace, 'sources.list'), `deb [trusted=yes] file:${mirror} ./\n`);
    write(join(workspace, 'lists', 'partial', 'empty'), '');
    const settings = [
      `Dir::Etc::SourceList "${join(workspace, 'sources.list')}";`,
      'Dir::Etc::SourceParts "/nonexistent";',
      `Dir::State::Lists "${join(workspace, 'lists')}";`,
      `Dir::Cache "${join(workspace, 'cache')}";`,
    ];
    write(join(workspace, 'apt.conf'), settings.join('\n'));
    const temporary = join(workspace, 'tmp');
    mkdirSync(temporary);
    env = { ...process.env, APT_CONFIG: join(workspace, 'apt.conf'), TMPDIR: temporary };
  });
  after(() => rmSync(workspace, { recursive: true, force: true }));

  function write(path: string, text: string): void {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }

  /** Makes the package `name`, which holds one file, in the mirror; its entry in the list. */
  function build(name: string, more = ''): string {
    const tree = join(workspace, name);
    const control = `Package: ${name}\nVersion: 1\nArchitecture: all\nMaintainer: nobody\n${more}Description: for a test\n`;
    write(join(tree, 'DEBIAN', 'control'), control);
    write(join(tree, 'usr', 'lib', name), name);
    const file = join(workspace, 'mirror', `${name}_1_all.deb`);
    mkdirSync(dirname(file), { recursive: true });
    execFileSync('dpkg-deb', ['--root-owner-group', '--build', tree, file], { stdio: 'pipe' });
    const content = readFileSync(file);
    const hash = createHash('sha256').update(content).digest('hex');
    return `${control}Filename: ./${name}_1_all.deb\nSize: ${content.length}\nSHA256: ${hash}\n`;
  }

  async function unpack(directory: string, name: string): Promise<{ code: number; stderr: string }> {
    const child = spawn(process.execPath, [script, directory, name], { env, stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const [code] = (await once(child, 'close')) as [number];
    return { code, stderr };
  }

  test('are unpacked completely by processes that ask at the same time, with their dependencies', async () => {
    const directory = join(unpacked, 'together');
    for (const { code, stderr } of await Promise.all(
      Array.from({ length: 3 }, () => unpack(directory, 'moorline-needing')),
    ))
      assert.equal(code, 0, stderr);
    assert.deepEqual(readdirSync(join(directory, 'usr', 'lib')).sort(), ['moorline-needed', 'moorline-needing']);
    assert.deepEqual(readdirSync(unpacked), ['together'], 'something was left aside');
    assert.deepEqual(readdirSync(join(workspace, 'lists')), ['partial'], "the machine's own lists were touched");
  });

  test('that do not exist are named in the error, and leave nothing', async () => {
    const directory = join(unpacked, 'nowhere');
    const { code, stderr } = await unpack(directory, 'moorline-nowhere');
    assert.equal(code, 1);
    assert.match(stderr, /moorline-nowhere/);
    assert.equal(existsSync(directory), false);
  });
});
