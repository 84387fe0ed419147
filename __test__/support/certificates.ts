// Certificates for the tests: an authority of our own and what it signs, made anew each time.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Certificate {
  cert: string;
  key: string;
}

/** An authority that nobody trusts until told to. */
export class Authority {
  readonly #directory = mkdtempSync(join(tmpdir(), 'moorline-ca-'));
  /** Its own certificate. */
  readonly cert: string;
  /** The file its certificate is in. */
  readonly file = join(this.#directory, 'ca.pem');

  constructor() {
    const subject = ['-subj', '/CN=moorline test authority', '-addext', 'basicConstraints=critical,CA:TRUE'];
    this.#openssl('req', '-x509', '-newkey', ...KEY, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', ...subject);
    this.cert = this.#read('ca.pem');
  }

  /** A certificate for these names (`DNS:…`, `IP:…`), valid for a server or a client, for so many days. */
  issue(names: string[], use: 'serverAuth' | 'clientAuth' = 'serverAuth', days = 2): Certificate {
    this.#openssl('req', '-newkey', ...KEY, '-keyout', 'leaf.key', '-out', 'leaf.csr', '-subj', '/CN=leaf');
    const extensions = `basicConstraints=CA:FALSE\nsubjectAltName=${names.join(',')}\nextendedKeyUsage=${use}\n`;
    writeFileSync(join(this.#directory, 'leaf.ext'), extensions);
    const authority = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', String(days)];
    this.#openssl('x509', '-req', '-in', 'leaf.csr', ...authority, '-extfile', 'leaf.ext', '-out', 'leaf.pem');
    return { cert: this.#read('leaf.pem'), key: this.#read('leaf.key') };
  }

  /** A certificate of X.509 version 1, which has no extensions, as old tools make them. */
  issueOld(key: 'ec' | 'rsa' = 'ec'): Certificate {
    const kind = key === 'ec' ? KEY : ['rsa:2048', '-nodes'];
    this.#openssl('req', '-newkey', ...kind, '-keyout', 'old.key', '-out', 'old.csr', '-subj', '/CN=localhost');
    const authority = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2'];
    this.#openssl('x509', '-req', '-in', 'old.csr', ...authority, '-out', 'old.pem');
    const text = execFileSync('openssl', ['x509', '-in', 'old.pem', '-noout', '-text'], { cwd: this.#directory });
    if (!/Version: 1 /.test(text.toString())) throw new Error('this OpenSSL makes no certificate of version 1');
    return { cert: this.#read('old.pem'), key: this.#read('old.key') };
  }

  /** Removes its files. */
  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #read(name: string): string {
    return readFileSync(join(this.#directory, name), 'utf8');
  }

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { cwd: this.#directory, stdio: 'pipe' });
  }
}

const KEY = ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
