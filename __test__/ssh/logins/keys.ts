// Private keys of every type, and copies of them in every format that is written.
import { execFile, execFileSync } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { type Binary, debianBinary } from '../../support/debian';
import { sshKeygen } from '../../support/sshd';

export const PASSPHRASE = 'open-sesame';
export const puttygen = debianBinary('puttygen', 'putty-tools');
const keygen = debianBinary('ssh-keygen', 'openssh-client');

const TYPES = {
  rsa2048: ['-t', 'rsa', '-b', '2048'],
  rsa4096: ['-t', 'rsa', '-b', '4096'],
  ecdsa256: ['-t', 'ecdsa', '-b', '256'],
  ecdsa384: ['-t', 'ecdsa', '-b', '384'],
  ecdsa521: ['-t', 'ecdsa', '-b', '521'],
  ed25519: ['-t', 'ed25519'],
};

/** Ciphers of OpenSSL's formats. */
const AES = ['aes-128-cbc', 'aes-192-cbc', 'aes-256-cbc'];

/** Ciphers of OpenSSH's own format. */
const CIPHERS = ['aes256-ctr', 'aes128-ctr', 'aes256-cbc', 'aes256-gcm@openssh.com', 'chacha20-poly1305@openssh.com'];

/** Makes a key of each type, all at once, and two that `ssh-keygen` makes seldom or never; their paths. */
export async function makeKeys(directory: string): Promise<Record<string, string>> {
  const made = Object.entries(TYPES).map(async ([name, type]) => {
    const path = join(directory, name);
    await run(keygen as Binary, '-q', ...type, '-N', '', '-C', '', '-f', path);
    return [name, path];
  });
  const others = [makeByOpenSsl(directory), makeShort(directory)];
  return Object.fromEntries([...(await Promise.all(made)), ...others]) as Record<string, string>;
}

/** A key on P-256 whose number has 31 bytes, as one in 512 has. */
function makeShort(directory: string): [name: string, path: string] {
  const path = join(directory, 'ecdsaShort');
  for (;;) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const [first, second] = Buffer.from(privateKey.export({ format: 'jwk' }).d!, 'base64url');
    if (first !== 0 || second! >= 0x80) continue;
    writeFileSync(path, privateKey.export({ type: 'sec1', format: 'pem' }), { mode: 0o600 });
    writeFileSync(`${path}.pub`, sshKeygen('-y', '-f', path));
    // In OpenSSH's own format.
    sshKeygen('-q', '-p', '-P', '', '-N', '', '-f', path);
    return ['ecdsaShort', path];
  }
}

/** An Ed25519 key in PKCS#8, which not every `ssh-keygen` reads. */
function makeByOpenSsl(directory: string): [name: string, path: string] {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const path = join(directory, 'ed25519Pkcs8');
  writeFileSync(path, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const key = Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url');
  const parts = [Buffer.from('ssh-ed25519'), key].map((part) => [Buffer.from([0, 0, 0, part.length]), part]);
  writeFileSync(`${path}.pub`, `ssh-ed25519 ${Buffer.concat(parts.flat()).toString('base64')}\n`);
  return ['ed25519Pkcs8', path];
}

function run({ path, env }: Binary, ...args: string[]): Promise<void> {
  return new Promise((resolve, reject) =>
    execFile(path, args, { env }, (error) => (error ? reject(error) : resolve())),
  );
}

/** A copy of a key in another format; its text. */
function convert(directory: string, key: string, passphrase: string, ...args: string[]): string {
  const copy = join(directory, 'copy');
  copyFileSync(key, copy);
  sshKeygen('-q', '-p', '-a', '1', '-P', '', '-N', passphrase, ...args, '-f', copy);
  return readFileSync(copy, 'utf8');
}

type Formats = Generator<[name: string, text: string]>;

/** The texts of keys, each with a name that begins with `plain` where it is not encrypted. */
export function* keyFormats(directory: string, keys: Record<string, string>): Formats {
  for (const cipher of CIPHERS) {
    for (const key of ['ed25519', 'ecdsaShort']) {
      yield [`OpenSSH, ${cipher}, ${key}`, convert(directory, keys[key]!, PASSPHRASE, '-Z', cipher)];
    }
  }
  yield* byOpenSsl('ed25519', createPrivateKey(readFileSync(keys['ed25519Pkcs8']!)), ['pkcs8']);
  for (const key of ['rsa2048', 'ecdsa256', 'ecdsa521']) {
    yield [`OpenSSH, ${key}`, convert(directory, keys[key]!, PASSPHRASE)];
    for (const format of ['PEM', 'PKCS8']) {
      yield [`plain ${format}, ${key}`, convert(directory, keys[key]!, '', '-m', format)];
      yield [`${format}, ${key}`, convert(directory, keys[key]!, PASSPHRASE, '-m', format)];
    }
    const types = [key.startsWith('rsa') ? 'pkcs1' : 'sec1', 'pkcs8'];
    yield* byOpenSsl(key, createPrivateKey(convert(directory, keys[key]!, '', '-m', 'PEM')), types);
  }
}

/** As OpenSSL and OpenSSH write them with DES. */
export function* desFormats(directory: string, keys: Record<string, string>): Formats {
  const pem = convert(directory, keys['ecdsa256']!, '', '-m', 'PEM');
  yield* byOpenSsl('ecdsa256', createPrivateKey(pem), ['sec1', 'pkcs8'], ['des-ede3-cbc']);
  yield ['OpenSSH, 3des-cbc', convert(directory, keys['ed25519']!, PASSPHRASE, '-Z', '3des-cbc')];
}

/** As OpenSSL writes them. */
function* byOpenSsl(name: string, key: KeyObject, types: string[], ciphers = AES): Formats {
  for (const type of types as 'pkcs8'[]) {
    for (const cipher of ciphers) {
      const text = key.export({ type, format: 'pem', cipher, passphrase: PASSPHRASE });
      yield [`OpenSSL's ${type}, ${cipher}, ${name}`, text.toString()];
    }
  }
}

/** As PuTTY writes them. */
export function* puttyFormats(directory: string, keys: Record<string, string>): Formats {
  const { path, env } = puttygen as Binary;
  const to = join(directory, 'key.ppk');
  const phrase = join(directory, 'passphrase');
  for (const key of ['rsa2048', 'ecdsa256', 'ed25519']) {
    for (const version of ['2', '3']) {
      for (const passphrase of ['', PASSPHRASE]) {
        const parameters = `version=${version},memory=256,passes=1,parallelism=1`;
        const args = [keys[key]!, '-O', 'private', '-o', to, '--ppk-param', parameters, '--new-passphrase', phrase];
        writeFileSync(phrase, passphrase);
        execFileSync(path, args, { env, stdio: 'pipe' });
        yield [`${passphrase ? 'encrypted' : 'plain'}, version ${version}, ${key}`, readFileSync(to, 'utf8')];
      }
    }
  }
}
