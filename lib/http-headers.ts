/** Headers as a caller writes them: an object (arrays repeat the header), pairs, or a `Headers`. */
export type HeadersInit =
  Record<string, string | number | readonly string[] | undefined> | Iterable<readonly [string, string]>;

/** A header's name is in lower case; `set-cookie` is a list. */
export type ResponseHeaders = Record<string, string> & { 'set-cookie'?: string[] };

/**
 * @internal The lines a request crosses with, each after a line break; `type` is the content type where the caller
 * names none.
 */
export function headerLines(headers: HeadersInit | undefined, type: string | undefined): string {
  let lines = '';
  let typed = type === undefined;
  const add = (name: string, value: string): void => {
    if (name.length === 12 && name.toLowerCase() === 'content-type') typed = true;
    if (name.includes(':')) throw unfit(name, 'is not the name of a header', 'ERR_INVALID_ARG_VALUE');
    lines += `\n${safe(name, name)}:${safe(value, name)}`;
  };
  if (headers === undefined) {
    // Nothing of the caller's.
  } else if (Symbol.iterator in headers) {
    for (const [name, value] of headers as Iterable<readonly [string, string]>) add(name, String(value));
  } else {
    for (const name of Object.keys(headers)) {
      const value = (headers as Record<string, string | number | readonly string[] | undefined>)[name];
      if (value === undefined) continue;
      if (Array.isArray(value)) for (const one of value as readonly string[]) add(name, String(one));
      else add(name, String(value as string | number));
    }
  }
  return typed ? lines : `${lines}\ncontent-type:${type}`;
}

/** A line break would be another header. */
function safe(text: string, name: string): string {
  if (!/[\r\n\0]/.test(text)) return text;
  throw unfit(name, 'has a line break or a NUL in it', 'ERR_INVALID_CHAR');
}

function unfit(name: string, reason: string, code: string): TypeError {
  return Object.assign(new TypeError(`request.headers.${JSON.stringify(name)} ${reason}`), { code });
}

/** @internal The headers of an answer's head; a repeated one is joined with a comma. */
export function asHeaders(lines: string): ResponseHeaders {
  // Without a prototype: the server chooses the names.
  const headers = Object.create(null) as ResponseHeaders;
  for (let start = 0; start < lines.length;) {
    const end = lines.indexOf('\n', start);
    const colon = lines.indexOf(':', start + 1);
    const name = lines.slice(start, colon);
    const value = lines.slice(colon + 1, end);
    start = end + 1;
    if (name === 'set-cookie') (headers['set-cookie'] ??= []).push(value);
    else headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
  }
  return headers;
}
