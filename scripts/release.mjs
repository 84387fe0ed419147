// Makes the npm packages: `npm run release [-- --binaries <directory>] [--publish]`.
//
// One package `moorline-<platform>` for every binary in the directory (default dist/, which has this machine's),
// and the main package, whose packed copy has the compiled face in one file and names them as optional dependencies.
// The committed package.json names none: npm cannot install a lock file with unpublished names. Without --publish it
// is a dry run that leaves the tarballs in target/packages.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { bundleFace } from './lib/bundle.mjs';
import { compareVersions, neededGlibc } from './lib/elf.mjs';
import { thirdPartyLicences } from './lib/licences.mjs';
import { fail, isMain, runNpm, readNpmOutput, root } from './lib/run.mjs';
import { GLIBC } from './lib/sysroot.mjs';

/** Every platform we build for, and what npm asks of a machine before it installs the package. */
export const PLATFORMS = {
  'linux-x64-gnu': { os: ['linux'], cpu: ['x64'], libc: ['glibc'] },
  'linux-arm64-gnu': { os: ['linux'], cpu: ['arm64'], libc: ['glibc'] },
  'linux-x64-musl': { os: ['linux'], cpu: ['x64'], libc: ['musl'] },
  'linux-arm64-musl': { os: ['linux'], cpu: ['arm64'], libc: ['musl'] },
  'darwin-x64': { os: ['darwin'], cpu: ['x64'] },
  'darwin-arm64': { os: ['darwin'], cpu: ['arm64'] },
  'win32-x64-msvc': { os: ['win32'], cpu: ['x64'] },
};

/** The licences of what is linked into a binary. */
const THIRD_PARTY = 'THIRD-PARTY-LICENSES.txt';

/** What in package.json is for us and not for users. */
const DEVELOPMENT = ['scripts', 'devDependencies', 'overrides', 'napi'];

function readManifest() {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  // Provenance ties a package to the repository it was built in, so the build says which that is.
  const repository = process.env.GITHUB_REPOSITORY;
  if (repository) manifest.repository = { type: 'git', url: `git+https://github.com/${repository}.git` };
  return manifest;
}

/** Packs the main package and one package for each binary in `binaries`; answers the tarballs, main last. */
export function pack({ binaries = join(root, 'dist'), out = join(root, 'target', 'packages') } = {}) {
  const platforms = readdirSync(binaries).flatMap((file) => file.match(/^moorline\.(.+)\.node$/)?.[1] ?? []);
  if (platforms.length === 0) fail(`no binary in ${binaries}: run \`npm run build\` first`);
  rmSync(out, { recursive: true, force: true });
  const licences = thirdPartyLicences();
  const directories = platforms.map((platform) => platformPackage(platform, binaries, out, licences));
  directories.push(mainPackage(platforms, out));
  return directories.map((directory) => {
    const [{ filename }] = JSON.parse(readNpmOutput(['pack', '--json', '--pack-destination', out], { cwd: directory }));
    rmSync(directory, { recursive: true });
    return join(out, filename);
  });
}

function platformPackage(platform, binaries, out, licences) {
  const { version, license, engines, repository } = readManifest();
  const file = `moorline.${platform}.node`;
  const machine = PLATFORMS[platform] ?? fail(`${file} is for a platform that scripts/release.mjs does not know`);
  const name = `moorline-${platform}`;
  const directory = join(out, name);
  mkdirSync(directory, { recursive: true });
  copyFileSync(join(binaries, file), join(directory, file));
  copyFileSync(join(root, 'LICENSE'), join(directory, 'LICENSE'));
  writeFileSync(join(directory, THIRD_PARTY), licences);
  writeFileSync(
    join(directory, 'README.md'),
    `# ${name}\n\nThe binary of [moorline](https://www.npmjs.com/package/moorline) for this platform. ` +
      'Install `moorline`; npm then takes the binary that fits.\n',
  );
  const description = `The binary of moorline for ${platform}`;
  const content = { main: file, files: [file, THIRD_PARTY] };
  writeManifest(directory, { name, version, description, license, repository, engines, ...machine, ...content });
  return directory;
}

function mainPackage(platforms, out) {
  const directory = join(out, 'moorline');
  const [{ files }] = JSON.parse(readNpmOutput(['pack', '--json', '--dry-run', '--ignore-scripts']));
  for (const { path } of files.filter(({ path }) => !path.startsWith('dist/'))) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    copyFileSync(join(root, path), join(directory, path));
  }
  bundleFace(directory);
  const manifest = readManifest();
  for (const field of DEVELOPMENT) delete manifest[field];
  // Exactly the version they were built with: the two halves know each other's functions.
  manifest.optionalDependencies = Object.fromEntries(
    platforms.map((platform) => [`moorline-${platform}`, manifest.version]),
  );
  writeManifest(directory, manifest);
  return directory;
}

function writeManifest(directory, manifest) {
  writeFileSync(join(directory, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** What must hold before anything is published, and not in a dry run on one machine. */
function refuseUnfit(binaries) {
  const missing = Object.keys(PLATFORMS).filter(
    (platform) => !readdirSync(binaries).includes(`moorline.${platform}.node`),
  );
  if (missing.length > 0) fail(`no binary for ${missing.join(', ')}`);
  for (const file of readdirSync(binaries).filter((file) => file.endsWith('.node'))) {
    if (readFileSync(join(binaries, file)).includes('testNoop')) fail(`${file} was built with the test functions`);
    const glibc = file.endsWith('-gnu.node') ? neededGlibc(join(binaries, file)) : undefined;
    if (glibc && compareVersions(glibc, GLIBC) > 0) fail(`${file} needs glibc ${glibc}, and we promise ${GLIBC}`);
  }
  const { version } = readManifest();
  const tag = process.env.GITHUB_REF_NAME;
  if (tag !== `v${version}`) fail(`the tag is ${tag}, the version ${version}`);
}

if (isMain(import.meta.url)) {
  const at = process.argv.indexOf('--binaries');
  const binaries = at === -1 ? join(root, 'dist') : process.argv[at + 1];
  const publish = process.argv.includes('--publish');
  if (publish) refuseUnfit(binaries);
  for (const tarball of pack({ binaries })) {
    // The platform packages first, so that the main package never names one that is not there.
    if (publish) runNpm(['publish', tarball, '--provenance', '--access', 'public']);
    else console.log(tarball);
  }
}
