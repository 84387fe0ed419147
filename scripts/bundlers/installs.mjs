// The packed package as package managers install it, and as containers and serverless platforms run it; a part of
// `npm run test:bundlers`. docs/bundlers.md says what each needs; the page and this table go together.
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import {
  bundleWithEsbuild,
  runEsbuildWithBinary,
  expectRefused,
  expectOutput,
  toolDirectory,
  runNode,
  runForOutput,
  copyPrograms,
  copyTracedFiles,
} from './packaged-programs.mjs';
import { runNpm } from '../lib/run.mjs';

/** A new directory beside `project`, whose packages it must not see, with the programs and the `.npmrc` of the registry. */
function newProject(project, name) {
  const directory = join(dirname(project), name);
  mkdirSync(directory);
  copyFileSync(join(project, '.npmrc'), join(directory, '.npmrc'));
  copyPrograms(directory);
  return directory;
}

function writeJson(directory, file, content) {
  writeFileSync(join(directory, file), `${JSON.stringify(content)}\n`);
}

/** Such a project whose package.json depends on the package. */
function dependentProject(project, name) {
  const directory = newProject(project, name);
  writeJson(directory, 'package.json', { name, private: true, dependencies: { moorline: '*' } });
  return directory;
}

const runNpmIn = (cwd, ...args) =>
  runNpm([...args, '--no-audit', '--no-fund', '--loglevel=error'], undefined, (command, all) =>
    runForOutput(command, all, cwd),
  );

function runPrograms(directory, ...options) {
  for (const entry of ['program.mjs', 'program.cjs']) expectOutput(runNode(directory, ...options, entry));
}

const moorlinePackagesIn = (modules) => readdirSync(modules).filter((name) => name.startsWith('moorline'));

function expectInstalled(modules, names) {
  const found = moorlinePackagesIn(modules).join(', ');
  if (found !== names.join(', ')) throw new Error(`${modules} has '${found}' instead of '${names.join(', ')}'`);
}

/** The lock file is written on one machine and lists the binaries of all; the image takes its own. */
async function installWithNpmCi(project) {
  const locked = dependentProject(project, 'npm-locked');
  runNpmIn(locked, 'install', '--package-lock-only');
  const image = (name, omitted) => {
    const directory = newProject(project, name);
    for (const file of ['package.json', 'package-lock.json']) copyFileSync(join(locked, file), join(directory, file));
    runNpmIn(directory, 'ci', `--omit=${omitted}`);
    return directory;
  };
  const complete = image('npm-image', 'dev');
  expectInstalled(join(complete, 'node_modules'), moorlinePackagesIn(join(project, 'node_modules')));
  runPrograms(complete);
  const withoutOptional = image('npm-image-without-optional', 'optional');
  expectInstalled(join(withoutOptional, 'node_modules'), ['moorline']);
  await expectRefused(() => runPrograms(withoutOptional), 'ERR_MOORLINE_BINARY_MISSING');
}

/** Other platforms: their binaries are installed, and refuse to load here. */
const OTHER_PLATFORMS = { 'linux-x64-musl': ['linux', 'x64', 'musl'], 'linux-arm64-gnu': ['linux', 'arm64', 'glibc'] };

async function expectOtherPlatform(directory, platform) {
  expectInstalled(join(directory, 'node_modules'), ['moorline', `moorline-${platform}`]);
  await expectRefused(() => runPrograms(directory), 'ERR_MOORLINE_PLATFORM');
}

async function installWithNpmForOtherPlatforms(project) {
  for (const [platform, [os, cpu, libc]] of Object.entries(OTHER_PLATFORMS)) {
    const directory = dependentProject(project, `npm-${platform}`);
    runNpmIn(directory, 'install', `--os=${os}`, `--cpu=${cpu}`, `--libc=${libc}`);
    await expectOtherPlatform(directory, platform);
  }
}

/** The platforms to install for, as pnpm and Yarn configure them. */
const architecturesOf = ([os, cpu, libc]) => ({ supportedArchitectures: { os: [os], cpu: [cpu], libc: [libc] } });

function runPnpm(directory, settings = {}) {
  // JSON is YAML.
  writeJson(directory, 'pnpm-workspace.yaml', { storeDir: join(directory, '.store'), ...settings });
  runForOutput(
    process.execPath,
    [join(toolDirectory('pnpm'), 'bin', 'pnpm.cjs'), 'install', '--no-frozen-lockfile'],
    directory,
  );
}

async function installWithPnpm(project) {
  const directory = dependentProject(project, 'pnpm');
  runPnpm(directory);
  expectInstalled(join(directory, 'node_modules'), ['moorline']); // the binary is beside it in the store, not here
  runPrograms(directory);
  await runEsbuildWithBinary(directory, 'cjs');
}

async function installWithPnpmForOtherPlatforms(project) {
  for (const [platform, machine] of Object.entries(OTHER_PLATFORMS)) {
    const directory = dependentProject(project, `pnpm-${platform}`);
    runPnpm(directory, { nodeLinker: 'hoisted', ...architecturesOf(machine) });
    await expectOtherPlatform(directory, platform);
  }
}

function runYarn(project, directory, settings) {
  const [, registry] = /registry=(.+)/.exec(readFileSync(join(project, '.npmrc'), 'utf8'));
  writeJson(directory, '.yarnrc.yml', {
    npmRegistryServer: registry,
    unsafeHttpWhitelist: ['127.0.0.1'],
    enableTelemetry: false,
    // What Yarn keeps there of other runs, packages by their version, would be an older build.
    globalFolder: './.yarn/global',
    enableImmutableInstalls: false,
    ...settings,
  });
  writeFileSync(join(directory, 'yarn.lock'), '');
  runForOutput(process.execPath, [join(toolDirectory('@yarnpkg/cli-dist'), 'bin', 'yarn.js'), 'install'], directory);
}

function installWithYarnModules(project) {
  const directory = dependentProject(project, 'yarn');
  runYarn(project, directory, { nodeLinker: 'node-modules' });
  runPrograms(directory);
}

function installWithPlugAndPlay(project) {
  const directory = dependentProject(project, 'yarn-pnp');
  runYarn(project, directory, { nodeLinker: 'pnp', pnpEnableEsmLoader: true });
  runPrograms(directory, '--require', './.pnp.cjs', '--experimental-loader', './.pnp.loader.mjs', '--no-warnings');
}

async function installWithYarnForOtherPlatforms(project) {
  for (const [platform, machine] of Object.entries(OTHER_PLATFORMS)) {
    const directory = dependentProject(project, `yarn-${platform}`);
    runYarn(project, directory, { nodeLinker: 'node-modules', ...architecturesOf(machine) });
    await expectOtherPlatform(directory, platform);
  }
}

/** Runs a shell script as root in a mount namespace of its own. */
function runInNamespace(script, ...args) {
  const command = ['unshare', '--mount', '--propagation', 'private', 'sh', '-euc', script, 'sh', ...args];
  if (process.getuid() !== 0) command.unshift('sudo', '-n');
  return runForOutput(command[0], command.slice(1), '/');
}

/** Node.js with the libraries that it is linked with, and the program: what an image without a distribution has. */
function runInBareImage(project) {
  const image = join(dirname(project), 'image');
  const libraries = runForOutput('ldd', [process.execPath], project).matchAll(/(\/\S+) \(0x/g);
  for (const file of [process.execPath, ...[...libraries].map(([, library]) => library)]) {
    mkdirSync(dirname(join(image, file)), { recursive: true });
    cpSync(file, join(image, file), { dereference: true });
  }
  const program = join(image, 'app');
  mkdirSync(program);
  copyPrograms(program);
  cpSync(join(project, 'node_modules'), join(program, 'node_modules'), { recursive: true });
  const script = 'exec env -i "$(command -v chroot)" "$1" "$2" "$3"';
  for (const entry of ['program.mjs', 'program.cjs'])
    expectOutput(runInNamespace(script, image, process.execPath, `/app/${entry}`));
}

// As AWS Lambda has it: the function's files and all else can only be read, but for /tmp; no HOME and nothing else in the
// environment; plain Node.js that calls `handler`.
const FUNCTION_SCRIPT = `
  mount --bind "$1" /mnt
  mount -t tmpfs tmpfs /tmp
  mount -o remount,bind,ro /mnt
  mount -o remount,bind,ro /
  cd /mnt
  exec env -i "$2" --input-type=module --eval "$3"`;
const handlerScript = (entry) => `
  import { writeFileSync } from 'node:fs';
  for (const file of ['/mnt/file', '/file']) {
    let code = 'none';
    try { writeFileSync(file, ''); } catch (error) { code = error.code; }
    if (code !== 'EROFS') throw new Error('writing ' + file + ': ' + code);
  }
  const { handler, default: module } = await import('/mnt/${entry}');
  console.log(await (handler ?? module.handler)());`;

/** Runs the handler of a function whose files are those of an archive that was unpacked. */
function runFunction(project, files, entry) {
  const [archive, unpacked] = ['function.tar', 'function'].map((name) => join(project, name));
  runForOutput('tar', ['-cf', archive, '-C', files, '.'], project);
  mkdirSync(unpacked);
  try {
    runForOutput('tar', ['-xf', archive, '-C', unpacked], project);
    expectOutput(runInNamespace(FUNCTION_SCRIPT, unpacked, process.execPath, handlerScript(entry)));
  } finally {
    rmSync(unpacked, { recursive: true });
  }
}

async function runTracedFunction(project) {
  for (const entry of ['handler.mjs', 'handler.cjs'])
    runFunction(project, await copyTracedFiles(project, entry), entry);
}

async function runBundledFunction(project) {
  const { outputDirectory, fileName } = await bundleWithEsbuild(project, 'cjs', {
    program: 'handler',
    loader: { '.node': 'copy' },
  });
  runFunction(project, outputDirectory, fileName);
}

const READ_ONLY_SCRIPT = `
  mount --bind "$1" /mnt
  mount -t tmpfs -o noexec tmpfs /tmp
  cp -r /mnt/node_modules /tmp
  mount -o remount,bind,ro /mnt
  cd /mnt
  exec env -i "$2" --input-type=module --eval "$3"`;
const MAKE_DATABASES = `
  import { createClient } from 'moorline/libsql';
  for (const name of ['wal', 'delete']) {
    const client = createClient({ url: 'file:' + name + '.db' });
    await client.executeMultiple('CREATE TABLE answers (answer); INSERT INTO answers VALUES (42); PRAGMA journal_mode = ' + name);
    client.close();
  }`;
const READ_DATABASES = `
  import { createRequire } from 'node:module';
  import { createClient } from 'moorline/libsql';
  const codes = [];
  await createClient({ url: 'file:wal.db' }).execute('SELECT answer FROM answers').catch(({ code }) => codes.push(code));
  try { createRequire('/tmp/')('moorline'); } catch ({ code }) { codes.push(code); }
  const { rows } = await createClient({ url: 'file:delete.db' }).execute('SELECT answer FROM answers');
  console.log(rows[0].answer, codes.join() === 'SQLITE_CANTOPEN,ERR_MOORLINE_BINARY_BROKEN' || codes);`;

/** Databases on a file system that can only be read, and the package on one from which nothing may be executed. */
function runOnReadOnlyFileSystem(project) {
  const directory = newProject(project, 'read-only');
  cpSync(join(project, 'node_modules'), join(directory, 'node_modules'), { recursive: true });
  runNode(directory, '--input-type=module', '--eval', MAKE_DATABASES);
  expectOutput(runInNamespace(READ_ONLY_SCRIPT, directory, process.execPath, READ_DATABASES));
}

/** The ways of docs/bundlers.md to install or run the package; each throws when it fails. */
export const INSTALLS = {
  'npm ci': installWithNpmCi,
  'npm, for another machine': installWithNpmForOtherPlatforms,
  pnpm: installWithPnpm,
  'pnpm, for another machine': installWithPnpmForOtherPlatforms,
  'Yarn, node_modules': installWithYarnModules,
  "Yarn, Plug'n'Play": installWithPlugAndPlay,
  'Yarn, for another machine': installWithYarnForOtherPlatforms,
  'an image with Node.js alone': runInBareImage,
  'a serverless function, traced': runTracedFunction,
  'a serverless function, put in by esbuild': runBundledFunction,
  'read-only file systems, and one without execution': runOnReadOnlyFileSystem,
};
