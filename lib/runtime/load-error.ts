import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** A platform whose binary was tried, and what became of it. */
export interface Attempt {
  /** As in the name of its package, `linux-x64-gnu`. */
  platform: string;
  error: unknown;
}

interface Explanation {
  code: string;
  reason: string;
  remedy: string;
}

const REINSTALL = 'Delete node_modules and install on the machine that runs the program';

/**
 * The error of a binary that could not be loaded: its `code` and message say what failed and what to do about it, its
 * `cause` is what the system said. `directory` is the package's own, where its files know it.
 */
export function loadError(attempts: Attempt[], directory: string | undefined): Error {
  // A package that is there and fails tells more than one that was never to be there.
  const loaded = attempts.find(({ error }) => !isAbsent(error));
  const { code, reason, remedy } = loaded ? explainFailure(loaded) : explainAbsence(attempts, directory);
  const message = `moorline cannot load its binary: ${reason}. ${remedy}.`;
  return Object.assign(new Error(message, { cause: (loaded ?? attempts[0])?.error }), { code });
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** Whether Node.js, or the bundler's stand-in for its `require`, did not find the module. */
function isAbsent(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'MODULE_NOT_FOUND' || messageOf(error).startsWith('Dynamic require of');
}

function explainFailure({ platform, error }: Attempt): Explanation {
  const message = messageOf(error);
  const [, needed] = /GLIBC_([\d.]+)' not found/.exec(message) ?? [];
  const glibc = glibcVersion();
  if (needed !== undefined) {
    return {
      code: 'ERR_MOORLINE_GLIBC',
      reason: `it needs glibc ${needed} or newer, and this system has ${glibc ?? 'another C library'}`,
      remedy: 'Use a newer system; in a container, a newer base image',
    };
  }
  if (process.platform === 'linux' && platform.endsWith('-musl') !== (glibc === undefined)) {
    return anotherMachine([platform]);
  }
  return {
    code: 'ERR_MOORLINE_BINARY_BROKEN',
    reason: `moorline-${platform} is installed, but the system refuses to load it: ${message}`,
    remedy: 'Install it again on a file system that allows execution',
  };
}

function explainAbsence(attempts: Attempt[], directory: string | undefined): Explanation {
  const names = attempts.map(({ platform }) => `moorline-${platform}`);
  const manifest = directory === undefined ? undefined : manifestOf(directory);
  if (directory === undefined || manifest?.name !== 'moorline') {
    return {
      code: 'ERR_MOORLINE_BUNDLED',
      reason: `a bundler moved moorline into another file, from which ${names.join(' or ')} cannot be resolved`,
      remedy:
        'Exclude moorline from the bundle and install it separately (esbuild: --external:moorline; Vite: ssr.external; ' +
        "Next.js: serverExternalPackages: ['moorline']), or ship the binary with the bundle: see docs/bundlers.md in the package",
    };
  }
  const built = Object.keys(manifest.optionalDependencies ?? {}).filter((name) => name.startsWith('moorline-'));
  if (built.length > 0 && !names.some((name) => built.includes(name))) {
    return {
      code: 'ERR_MOORLINE_PLATFORM_UNSUPPORTED',
      reason: `there is no binary for ${process.platform} on ${process.arch}`,
      remedy: `The available binaries are ${built.join(', ')}`,
    };
  }
  const installed = installedPlatforms(directory);
  const incomplete = attempts.find(({ platform }) => installed.includes(platform));
  if (incomplete) {
    return {
      code: 'ERR_MOORLINE_BINARY_BROKEN',
      reason: `moorline-${incomplete.platform} is installed, but its binary file is missing`,
      remedy: 'Install it again',
    };
  }
  if (installed.length > 0) return anotherMachine(installed);
  return {
    code: 'ERR_MOORLINE_BINARY_MISSING',
    reason: `${names.join(' or ')} is not installed`,
    remedy:
      'Either the installation omitted optional dependencies (npm install --include=optional), or the lock file was ' +
      `written on another platform (delete it, too). ${REINSTALL}`,
  };
}

function anotherMachine(platforms: string[]): Explanation {
  const here: string[] = [process.platform, process.arch];
  if (process.platform === 'linux') here.push(glibcVersion() === undefined ? 'musl' : 'glibc');
  return {
    code: 'ERR_MOORLINE_PLATFORM',
    reason: `${platforms.map((platform) => `moorline-${platform}`).join(', ')} is for another platform than this one (${here.join(', ')})`,
    remedy: REINSTALL,
  };
}

interface Manifest {
  name?: string;
  optionalDependencies?: Record<string, string>;
}

function manifestOf(directory: string): Manifest | undefined {
  try {
    return JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Manifest;
  } catch {
    return undefined;
  }
}

/** The platforms whose packages are beside the package itself. */
function installedPlatforms(directory: string): string[] {
  try {
    const names = readdirSync(dirname(directory));
    return names.flatMap((name) => /^moorline-((?:linux|darwin|win32)-.+)$/.exec(name)?.[1] ?? []);
  } catch {
    return [];
  }
}

/** The version of glibc that this process runs on: undefined on other C libraries. */
function glibcVersion(): string | undefined {
  const { report } = process as { report: { excludeNetwork?: boolean; getReport(): unknown } };
  // The addresses of the machine are not asked for, and can take long.
  report.excludeNetwork = true;
  const { header } = report.getReport() as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime;
}
