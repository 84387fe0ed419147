import { invalidValue } from '../runtime/argument-error';
import { URL } from '../runtime/node';

/** What a connection string says: options of `pg` by their names, and the parameters that only libpq has. */
export interface StringOptions {
  options: Record<string, unknown>;
  libpq: Record<string, string>;
}

/** The parameters that are options of `pg`. */
const OPTIONS = new Set([
  ...['user', 'password', 'host', 'port', 'database', 'options', 'application_name', 'fallback_application_name'],
  ...['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'query_timeout'],
  ...['client_encoding', 'sslnegotiation'],
]);

/** Reads a string as `pg` does: `postgres://…`, `socket:/directory?db=…`, or a socket's directory and a database. */
export function readConnectionString(text: string): StringOptions {
  if (text.startsWith('/')) {
    const [host, database] = text.split(' ');
    return { options: { host, database }, libpq: {} };
  }
  const url = parse(text);
  const { ssl, sslmode, sslcert, sslkey, sslrootcert, uselibpqcompat, db, encoding, ...parameters } =
    Object.fromEntries(url.searchParams);
  const options: Record<string, unknown> = {};
  const libpq: Record<string, string> = {};
  if (url.protocol === 'socket:') {
    Object.assign(options, { host: decodeURI(url.pathname), database: db, client_encoding: encoding });
  } else {
    Object.assign(options, addressOf(url, parameters['host']));
  }
  for (const [name, value] of Object.entries(parameters)) (OPTIONS.has(name) ? options : libpq)[name] = value;
  const files = { sslcert, sslkey, sslrootcert };
  for (const [name, path] of Object.entries(files)) if (path) libpq[name] = path;
  if (sslmode && uselibpqcompat === 'true') libpq['sslmode'] = sslmode;
  else if (sslmode || sslcert || sslkey || sslrootcert) options['ssl'] = sslOfMode(sslmode);
  else if (ssl !== undefined) options['ssl'] = sslOfMode(ssl === '0' ? 'disable' : ssl);
  else if (options['sslnegotiation'] === 'direct') options['ssl'] = true;
  return { options, libpq };
}

/** `pg` takes the modes of libpq but two for `verify-full`. */
export function sslOfMode(mode: string | undefined): unknown {
  if (mode === 'disable') return false;
  return mode === 'no-verify' ? { rejectUnauthorized: false } : true;
}

function parse(text: string): URL {
  // As `pg`: what stands for itself where it should be encoded is encoded.
  const encoded = / |%[^a-f0-9]|%[a-f0-9][^a-f0-9]/i.test(text) ? encodeURI(text).replace(/%25(\d\d)/g, '%$1') : text;
  for (const attempt of [encoded, encoded.replace('@/', '@___none___/')]) {
    // Its own error shows the text, which has the password.
    if (URL.canParse(attempt)) return new URL(attempt);
  }
  throw invalidValue('connectionString must be a postgres:// URL; characters such as @ / : in a password are encoded');
}

function addressOf(url: URL, givenHost: string | undefined): Record<string, string> {
  const hostname = url.hostname === '___none___' ? '' : url.hostname.replace(/^\[(.+)\]$/, '$1');
  let { pathname } = url;
  // The directory of a socket stands before the path, where the host is a parameter.
  if (givenHost && /^%2f/i.test(hostname)) pathname = hostname + pathname;
  return {
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    host: decodeURIComponent(hostname),
    port: url.port,
    database: decodeURI(pathname.slice(1)),
  };
}
