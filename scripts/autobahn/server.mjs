// The Autobahn fuzzing server: Python 2.7 and old packages, installed under target/autobahn from the machine's own
// package registries, and started on a free port of the loopback interface.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { unpack } from '../lib/debian.mjs';
import { root } from '../lib/run.mjs';

const home = join(root, 'target', 'autobahn');
const installedStamp = join(home, 'installed');

/** The last Debian with Python 2.7. */
const SUITE = 'bullseye';
const DEBS = [
  ...['python2.7-minimal', 'libpython2.7-minimal', 'libpython2.7-stdlib', 'libpython2.7-dev'],
  ...['libssl1.1', 'libffi7'],
];
/** The last of each that Python 2.7 runs. */
const TOOLS = ['pip==20.3.4', 'setuptools==44.1.1', 'wheel==0.37.1'];
const SOURCES = ['autobahntestsuite==0.8.2', 'autobahn==0.10.9', 'Twisted==19.10.0'];
const PACKAGES = [
  ...['zope.interface==5.4.0', 'constantly==15.1.0', 'incremental==17.5.0', 'Automat==0.8.0', 'attrs==19.3.0'],
  ...['hyperlink==19.0.0', 'PyHamcrest==1.9.0', 'six==1.16.0', 'idna==2.10', 'txaio==2.10.0'],
  ...['Jinja2==2.11.3', 'MarkupSafe==1.1.1'],
];
/** UTF-8 and masks in C: in Python they would take most of an hour. Built by the C compiler that moorline needs anyway. */
const ACCELERATOR = 'wsaccel==0.6.2';
/**
 * wstest imports TLS and a test library at its start, and needs neither for what is asked of it. It would listen on every
 * interface, whatever its URL says.
 */
const LAUNCHER = `
import sys, types, unittest, txaio
txaio.use_twisted()
ssl = types.ModuleType('ssl')
ssl.ClientContextFactory = ssl.DefaultOpenSSLContextFactory = object
sys.modules.update({'twisted.internet.ssl': ssl, 'unittest2': unittest})
import twisted.internet
twisted.internet.ssl = ssl
from autobahn.twisted import websocket
listen = websocket.listenWS
websocket.listenWS = lambda factory, context: listen(factory, context, interface='127.0.0.1')
from autobahntestsuite import wstest
wstest.run()
`;

const usr = join(home, 'debian', 'usr');
/** Python compiles the suite when it first runs it. */
const START_TIMEOUT_MS = 60_000;

const python2 = join(usr, 'bin', 'python2.7');
const environment = (...path) => ({
  ...process.env,
  LD_LIBRARY_PATH: join(usr, 'lib', 'x86_64-linux-gnu'),
  PYTHONHOME: usr,
  // For what is compiled: Python would look in the system's own directories, with the compiler that it was built by.
  CPATH: [join(usr, 'include', 'python2.7'), join(usr, 'include')].join(delimiter),
  CC: 'cc',
  LDSHARED: 'cc -shared',
  PYTHONPATH: path.map((part) => join(home, part)).join(':'),
});

function runOrFail(what, command, args, options = {}) {
  const { status, error, stderr } = spawnSync(command, args, {
    cwd: home,
    encoding: 'utf8',
    timeout: 300_000,
    ...options,
  });
  if (status === 0) return;
  throw new Error(`${what} failed: ${error?.message ?? stderr.trim().split('\n').slice(-3).join('; ')}`);
}

function installPackages() {
  const pip = ['-m', 'pip', '-q', '--disable-pip-version-check', '--no-python-version-warning'];
  const wheels = ['download', '-q', '--no-deps', '--only-binary=:all:', '--python-version', '2.7', '-d', 'wheels'];
  runOrFail('fetching pip', 'python3', ['-m', 'pip', ...wheels, ...TOOLS]);
  for (const wheel of readdirSync(join(home, 'wheels'))) {
    runOrFail('extracting pip', 'python3', ['-m', 'zipfile', '-e', join('wheels', wheel), 'tools']);
  }
  const env = environment('tools', 'site');
  runOrFail('installing packages', python2, [...pip, 'install', '--no-deps', '--target', 'site', ...PACKAGES], { env });
  // What an earlier run compiled would hide that it cannot be compiled here.
  const build = ['install', '--no-cache-dir', '--no-deps', '--no-build-isolation', '--target', 'site', ACCELERATOR];
  runOrFail('building the accelerator', python2, [...pip, ...build], { env });
  writeFileSync(join(home, 'site', 'zope', '__init__.py'), '');
  const sources = ['download', '--no-deps', '--no-binary', ':all:', '--no-build-isolation', '-d', 'sources'];
  runOrFail('fetching the suite', python2, [...pip, ...sources, ...SOURCES], { env });
  for (const source of readdirSync(join(home, 'sources'))) {
    runOrFail('extracting the suite', 'tar', ['xf', join('sources', source)]);
  }
}

/** Installs the server once; throws with the reason when it cannot be had here. */
export function install() {
  if (existsSync(installedStamp)) return;
  if (process.platform !== 'linux' || process.arch !== 'x64') throw new Error('it is installed on Linux x64 only');
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home, { recursive: true });
  unpack(DEBS, join(home, 'debian'), SUITE);
  installPackages();
  writeFileSync(`${installedStamp}.new`, '');
  renameSync(`${installedStamp}.new`, installedStamp);
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Waits until `isStarted()`; rejects when `ended` does, or after START_TIMEOUT_MS. */
async function untilStarted(isStarted, ended) {
  let hasEnded = false;
  ended.catch(() => (hasEnded = true));
  for (
    const deadline = performance.now() + START_TIMEOUT_MS;
    !hasEnded && performance.now() < deadline;
    await sleep(20)
  ) {
    if (await isStarted()) return;
  }
  await Promise.race([ended, Promise.reject(new Error('it does not start'))]);
}

async function isListening(port) {
  const socket = connect(port, '127.0.0.1');
  const answered = once(socket, 'connect');
  return answered
    .then(() => true)
    .catch(() => false)
    .finally(() => socket.destroy());
}

/** Starts it with the cases whose names match `cases` (`*` at the end for all of a group). */
export async function startServer(cases) {
  install();
  const port = await freePort();
  const directory = join(home, `run-${process.pid}-${port}`);
  mkdirSync(directory);
  const launcher = join(directory, 'launcher.py');
  writeFileSync(launcher, LAUNCHER);
  const spec = join(directory, 'spec.json');
  const reports = join(directory, 'reports');
  const url = `ws://127.0.0.1:${port}`;
  writeFileSync(spec, JSON.stringify({ url, outdir: reports, cases, 'exclude-cases': [], 'exclude-agent-cases': {} }));
  const path = ['autobahntestsuite-0.8.2', 'autobahn-0.10.9', 'Twisted-19.10.0/src', 'site', 'tools'];
  const args = ['-u', launcher, '-u', '0', '-m', 'fuzzingserver', '-s', spec];
  const server = spawn(python2, args, { cwd: directory, env: environment(...path), stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [server.stdout, server.stderr])
    stream.setEncoding('utf8').on('data', (text) => (output += text));
  const ended = new Promise((_, reject) => {
    server.once('exit', () => reject(new Error(`it ended at once: ${output}`)));
    server.once('error', reject);
  });
  // It prints its cases, and then listens.
  const printedCases = () => output.match(/^Cases = \[(.*)\]$/m)?.[1];
  await untilStarted(async () => printedCases() !== undefined && (await isListening(port)), ended).catch((error) => {
    server.kill('SIGKILL');
    throw error;
  });
  const names = printedCases().replaceAll("'", '').split(', ');
  server.stdout.removeAllListeners('data').resume();
  server.stderr.removeAllListeners('data').resume();
  return {
    url,
    /** The cases by number, from 1. */
    names,
    /** The server's verdicts on `agent` by case, once it has written its reports. */
    verdicts: (agent) => JSON.parse(readFileSync(join(reports, 'index.json'), 'utf8'))[agent],
    async stop() {
      const ended = new Promise((resolve) => server.once('exit', resolve));
      if (server.exitCode === null && server.signalCode === null) {
        server.kill('SIGKILL');
        await ended;
      }
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
