// Files of known hosts, generated: one of each form, among other lines, and lines put together at random.
import { createHash, createHmac } from 'node:crypto';

/** A server of the test, by what it presents: plain keys of several types, or a certificate and what is wrong with it. */
export type ServerName = 'plain' | 'certified' | 'expired' | 'future' | 'misnamed';

/** The keys that files name, each as its type and its base64. `…Old` is another one of the same type. */
export type KeyName = 'ed25519' | 'ecdsa' | 'rsa' | 'ed25519Old' | 'ecdsaOld' | 'rsaOld' | 'authority' | 'authorityOld';
export type Keys = Record<KeyName, string>;

/** A server that is connected to under this name, and the files that say what is known of it. */
export interface KnownHostsCase {
  name: string;
  server: ServerName;
  host: string;
  port: number;
  files: string[];
}

/** Numbers from 0 to 1, the same ones for the same seed (mulberry32). */
export type Random = () => number;

export function seeded(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function pick<T>(random: Random, items: readonly T[]): T {
  return items[Math.floor(random() * items.length)]!;
}

/** The name as `ssh-keygen -H` writes it; the salt is random there. */
function hashed(name: string): string {
  const salt = createHash('sha1').update(`salt of ${name}`).digest();
  const hash = createHmac('sha1', salt).update(name).digest('base64');
  return `|1|${salt.toString('base64')}|${hash}`;
}

export const HOST = 'db.example.com';
const ADDRESS_4 = '10.0.0.5';
const ADDRESS_6 = '2001:db8::5';
const OTHER_PORT = 2222;

/** What makes a case, before other lines are put around it. Each array of `files` is the lines of one. */
interface Form extends Partial<Omit<KnownHostsCase, 'name' | 'files'>> {
  name: string;
  lines?: string[];
  files?: string[][];
  /** How its lines end. */
  end?: string;
}

function nameForms({ ed25519, ed25519Old }: Keys): Form[] {
  const port = OTHER_PORT;
  return [
    { name: 'a plain name', lines: [`${HOST} ${ed25519}`] },
    { name: 'a name in upper case', host: 'DB.Example.COM', lines: [`Db.EXAMPLE.com ${ed25519}`] },
    { name: 'one of several names', lines: [`web,${HOST},${ADDRESS_4} ${ed25519}`] },
    { name: 'a hashed name', lines: [`${hashed(HOST)} ${ed25519}`] },
    { name: 'a hashed name of another host', lines: [`${hashed('web.example.com')} ${ed25519}`] },
    { name: 'a hashed name that is broken', lines: [`${hashed(HOST).slice(0, -1)} ${ed25519}`, `|1|x| ${ed25519}`] },
    { name: 'a name with its port', port, lines: [`[${HOST}]:${port} ${ed25519}`] },
    { name: 'a hashed name with its port', port, lines: [`${hashed(`[${HOST}]:${port}`)} ${ed25519}`] },
    { name: 'another port', port, lines: [`[${HOST}]:2223 ${ed25519}`] },
    { name: 'any port', port, lines: [`[*.example.com]:* ${ed25519}`] },
    { name: 'the bare name of a host with a port', port, lines: [`${HOST} ${ed25519}`] },
    { name: 'the bare name with another key', port, lines: [`${HOST} ${ed25519Old}`] },
    {
      name: 'the bare name, and another key for the port',
      port,
      lines: [`${HOST} ${ed25519}`, `[${HOST}]:${port} ${ed25519Old}`],
    },
    { name: 'an address', host: ADDRESS_4, lines: [`${ADDRESS_4} ${ed25519}`] },
    { name: 'addresses by a wildcard', host: ADDRESS_4, port, lines: [`[10.0.*]:${port} ${ed25519}`] },
    { name: 'an address of IPv6', host: '2001:DB8:0::5', lines: [`${ADDRESS_6} ${ed25519}`] },
    { name: 'an address of IPv6 with its port', host: ADDRESS_6, port, lines: [`[${ADDRESS_6}]:${port} ${ed25519}`] },
    { name: 'wildcards', lines: [`*.ex?mple.com ${ed25519}`] },
    { name: 'a wildcard that must not match', host: 'example.com', lines: [`*.example.com ${ed25519}`] },
    { name: 'a question mark that must not match', lines: [`d?b.example.com ${ed25519}`] },
    { name: 'a negation', lines: [`*.example.com,!${HOST} ${ed25519}`] },
    { name: 'a negation of another host', lines: [`!web.*,*.example.com ${ed25519}`] },
    { name: 'a negation alone', lines: [`!web.example.com ${ed25519}`] },
  ];
}

function keyForms({ ed25519, ecdsa, rsa, ed25519Old, ecdsaOld, rsaOld }: Keys): Form[] {
  return [
    { name: 'nothing', files: [[]] },
    { name: 'several keys of a type', lines: [`${HOST} ${ed25519Old}`, `${HOST} ${ed25519}`] },
    { name: 'a rotation that was not followed', lines: [`${HOST} ${ed25519Old}`, `${HOST} ${ecdsaOld}`] },
    { name: 'a key of the second type alone', lines: [`${HOST} ${ecdsa}`] },
    { name: 'a key of the last type alone', lines: [`${HOST} ${rsa}`] },
    { name: 'another key of the last type', lines: [`${HOST} ${rsaOld}`] },
    { name: 'an old key of the first type, that of the second', lines: [`${HOST} ${ed25519Old}`, `${HOST} ${ecdsa}`] },
    { name: 'a key that is revoked', lines: [`${HOST} ${ed25519}`, `@revoked * ${ed25519}`] },
    { name: 'a key that is revoked and not known', lines: [`@revoked ${HOST} ${ed25519}`] },
    { name: 'a key that is revoked in another file', files: [[`${HOST} ${ed25519}`], [`@revoked * ${ed25519}`]] },
    { name: 'a key that is revoked for another host', lines: [`${HOST} ${ed25519}`, `@revoked web ${ed25519}`] },
    { name: 'an old key that is revoked', lines: [`@revoked * ${ed25519Old}`, `${HOST} ${ed25519}`] },
    {
      name: 'a revoked key, one of another type',
      lines: [`@revoked * ${ed25519}`, `${HOST} ${ed25519}`, `${HOST} ${rsa}`],
    },
    { name: 'a marker that is not known', lines: [`@trusted ${HOST} ${ed25519}`, `@Revoked * ${ed25519}`] },
    { name: 'comments and blanks', lines: [`  # x`, `\t${HOST}\t  ${ed25519.replace(' ', ' \t')} me@here # x`] },
    { name: 'lines that end as those of Windows', end: '\r\n', lines: ['# x', '', `${HOST} ${ed25519}`] },
    { name: 'a key that is cut', lines: [`${HOST} ${ed25519.slice(0, -4)}`] },
    { name: 'a key of another type than the line says', lines: [`${HOST} ssh-rsa ${ed25519.split(' ')[1]}`] },
    { name: 'the third of three files', files: [[`web ${ecdsa}`], ['# nothing'], [`${HOST} ${ed25519}`]] },
    { name: 'files that contradict each other', files: [[`${HOST} ${ed25519Old}`], [`${HOST} ${ed25519}`]] },
  ];
}

function authorityForms({ ed25519, ed25519Old, authority, authorityOld }: Keys): Form[] {
  const trusting = `@cert-authority *.example.com ${authority}`;
  const server = 'certified';
  return [
    { name: 'an authority', server, lines: [trusting] },
    { name: 'an authority, with a port', server, port: OTHER_PORT, lines: [trusting] },
    { name: 'an authority of other hosts', server, lines: [`@cert-authority *.example.org ${authority}`] },
    { name: 'another authority', server, lines: [`@cert-authority * ${authorityOld}`] },
    { name: 'an authority that is revoked', server, lines: [trusting, `@revoked * ${authority}`] },
    { name: 'a certified key that is revoked', server, lines: [trusting, `@revoked * ${ed25519}`] },
    { name: 'an authority in place of a key', server, lines: [`${HOST} ${authority}`] },
    { name: 'an authority, and no certificate', lines: [trusting] },
    { name: 'an authority, and another key without certificate', lines: [trusting, `${HOST} ${ed25519Old}`] },
    { name: 'a certificate for another host', server: 'misnamed', lines: [trusting] },
    { name: 'a certificate that has expired', server: 'expired', lines: [trusting] },
    {
      name: 'a certificate that has expired, of a known key',
      server: 'expired',
      lines: [trusting, `${HOST} ${ed25519}`],
    },
    { name: 'a certificate that is not valid yet', server: 'future', lines: [trusting] },
  ];
}

/** Lines that say nothing of the host that is connected to. */
function otherLines({ ed25519, rsa, authorityOld }: Keys): string[] {
  return [
    '',
    ' \t',
    '#',
    `# ${HOST} ${ed25519}`,
    `web.example.org ${rsa}`,
    `${hashed('web.example.org')} ${ed25519} a comment`,
    `@revoked web.example.org ${rsa}`,
    `@cert-authority *.example.org ${authorityOld}`,
    HOST,
    `${HOST} ssh-ed25519`,
    `${HOST} ssh-ed25519 AAAA`,
    `${HOST} ssh-unknown ${ed25519.split(' ')[1]}`,
    `${HOST} 1024 35 123456789`,
    '@revoked',
    '\u00ff\u00fe not a line',
  ];
}

/** Puts other lines around those of a file, and ends them in one of the usual ways. */
function textOf(lines: string[], others: string[], random: Random, given?: string): string {
  const all = lines.map((line) => line + pick(random, ['', '', ' a comment']));
  for (let count = Math.floor(random() * 4); count > 0; count -= 1) {
    all.splice(Math.floor(random() * (all.length + 1)), 0, pick(random, others));
  }
  const end = given ?? pick(random, ['\n', '\n', '\r\n']);
  return all.join(end) + pick(random, [end, end, '']);
}

/** Lines for a host, each of a name, a key and perhaps a marker that may fit or not. */
function randomLine(keys: Keys, host: string, port: number, random: Random): string {
  const qualified = port === 22 ? host : `[${host}]:${port}`;
  const names = [qualified, qualified, host, '*', `[${host}]:*`, hashed(qualified), hashed(host), `!${qualified},*`];
  const more = [
    `web,${qualified}`,
    '*.example.com',
    'web',
    '10.0.0.?',
    `${hashed(qualified)},x`,
    `${qualified.slice(0, -1)}?`,
  ];
  const markers = ['', '', '', '', '@revoked ', '@cert-authority ', '@cert-authority ', '@other '];
  const presented: KeyName[] = ['ed25519', 'ed25519', 'ecdsa', 'rsa', 'authority'];
  const name = random() < 0.6 ? pick(random, presented) : pick(random, Object.keys(keys) as KeyName[]);
  return `${pick(random, markers)}${pick(random, [...names, ...more])} ${keys[name]}`;
}

function randomCase(keys: Keys, index: number, random: Random): KnownHostsCase {
  const servers: ServerName[] = ['plain', 'plain', 'plain', 'certified', 'certified', 'expired', 'misnamed'];
  const server = pick(random, servers);
  const host = pick(random, [HOST, HOST, HOST, ADDRESS_4, ADDRESS_6]);
  const port = pick(random, [22, OTHER_PORT]);
  const files = Array.from({ length: 1 + Math.floor(random() * 3) }, () => {
    const lines = Array.from({ length: Math.floor(random() * 6) }, () => randomLine(keys, host, port, random));
    return textOf(lines, otherLines(keys), random);
  });
  return { name: `lines at random, ${index}`, server, host, port, files };
}

/** Every form once, then `randomCount` cases of lines at random. */
export function generateCases(keys: Keys, randomCount: number, random: Random): KnownHostsCase[] {
  const others = otherLines(keys);
  const forms = [...nameForms(keys), ...keyForms(keys), ...authorityForms(keys)].map(
    ({ name, server = 'plain', host = HOST, port = 22, lines = [], files = [lines], end }): KnownHostsCase => {
      return { name, server, host, port, files: files.map((file) => textOf(file, others, random, end)) };
    },
  );
  return [...forms, ...Array.from({ length: randomCount }, (_, index) => randomCase(keys, index, random))];
}
