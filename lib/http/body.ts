import type { Readable } from 'node:stream';
import { types } from 'node:util';

import { Buffer, crypto, stream as streams } from '../runtime/node';
import { invalidValue, invalidTypeRedacted } from '../runtime/argument-error';
import { asBytes } from '../runtime/shape';

/** A body that comes piece by piece. */
export type StreamedBody = AsyncIterable<string | Uint8Array>;

/** @internal A body that is sent piece by piece. */
export interface BodySource {
  /** Reads it from its beginning. */
  open: () => StreamedBody;
  /** Its bytes, where they are counted. */
  length: number | undefined;
  /** Whether it can be read more than once. */
  repeatable: boolean;
}

/** @internal A body as it is sent. */
export interface BodyContent {
  body?: string | Uint8Array;
  source?: BodySource;
  /** The content type where the caller names none. */
  type?: string;
}

const EXPECTED = 'text, bytes, a stream, a form or a JSON value';

/** @internal What is sent for a caller's `body`; `path` is what an error calls it. */
export function bodyOf(body: unknown, path: string): BodyContent {
  if (body === undefined || body === null) return {};
  if (typeof body === 'string') return { body, type: 'text/plain;charset=UTF-8' };
  if (typeof body !== 'object') return jsonOf(body, path);
  const bytes = asBytes(body);
  if (bytes) return { body: bytes };
  if (isBlob(body)) return { ...blobOf(body), ...(body.type && { type: body.type }) };
  const tag = tagOf(body);
  if (tag === 'URLSearchParams') {
    return { body: String(body), type: 'application/x-www-form-urlencoded;charset=UTF-8' };
  }
  if (tag === 'FormData' && Symbol.iterator in body) return multipart(body as FormData, path);
  if (isStream(body)) {
    const isUsed =
      (body as Partial<ReadableStream>).locked === true || streams().Readable.isDisturbed(body as Readable);
    if (isUsed) throw invalidValue(`${path} was already read, or is locked by another reader`);
    const [length, type] = [lengthOf(body as StreamedForm), typeOf(body as StreamedForm)];
    return { source: { open: () => streamOf(body), length, repeatable: false }, ...type };
  }
  return jsonOf(body, path);
}

/** @internal Whether a body can be read only once. */
export function isReadOnce(body: unknown): boolean {
  return typeof body === 'object' && body !== null && !isBlob(body) && isStream(body);
}

/** Values whose JSON says nothing of what is in them. */
const NOT_JSON: readonly ((value: unknown) => boolean)[] = [
  types.isMap,
  types.isSet,
  types.isWeakMap,
  types.isWeakSet,
  types.isPromise,
  types.isRegExp,
  types.isNativeError,
  types.isExternal,
  (value) => ['Headers', 'Request', 'Response'].includes(tagOf(value)),
  (value) => value instanceof Error,
];

function jsonOf(body: unknown, path: string): BodyContent {
  const hasToJson = typeof (body as { toJSON?: unknown }).toJSON === 'function';
  if (!hasToJson && NOT_JSON.some((is) => is(body))) throw invalidTypeRedacted(path, EXPECTED, body);
  let json: string | undefined;
  try {
    json = JSON.stringify(body) as string | undefined;
  } catch (cause) {
    throw Object.assign(invalidValue(`${path} cannot be serialized as JSON`), { cause });
  }
  if (json === undefined) throw invalidTypeRedacted(path, EXPECTED, body);
  return { body: json, type: 'application/json' };
}

/** The `Symbol.toStringTag` of a value, which identifies classes of any realm and package. */
function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice('[object '.length, -1);
}

function isBlob(value: unknown): value is Blob {
  const tag = tagOf(value);
  return (tag === 'Blob' || tag === 'File') && typeof (value as Partial<Blob>).stream === 'function';
}

function blobOf(blob: Blob): BodyContent {
  if (blob.size === 0) return { body: new Uint8Array() };
  return { source: { open: () => blob.stream(), length: blob.size, repeatable: true } };
}

/** A stream older than `Readable`, as in the package `form-data`. */
type LegacyStream = NodeJS.ReadableStream;

/** What a form of that package says of itself. */
interface StreamedForm {
  getHeaders?: () => Record<string, string>;
  hasKnownLength?: () => boolean;
  getLengthSync?: () => number;
}

type AnyStream = StreamedBody | IterableIterator<string | Uint8Array> | LegacyStream;

function isStream(body: object): body is AnyStream {
  return Symbol.asyncIterator in body || isIterator(body) || isLegacyStream(body);
}

function isIterator(body: object): body is IterableIterator<string | Uint8Array> {
  return Symbol.iterator in body && typeof (body as Partial<Iterator<unknown>>).next === 'function';
}

function isLegacyStream(body: object): body is LegacyStream {
  return (
    typeof (body as Partial<LegacyStream>).pipe === 'function' &&
    typeof (body as Partial<LegacyStream>).on === 'function'
  );
}

function streamOf(body: AnyStream): StreamedBody {
  if (Symbol.asyncIterator in body) return body as StreamedBody;
  return isIterator(body) ? streams().Readable.from(body) : toReadable(body);
}

function toReadable(legacy: LegacyStream): Readable {
  const { PassThrough } = streams();
  const stream = new PassThrough();
  legacy.on('error', (error: Error) => stream.destroy(error));
  stream.once('close', () => (legacy as Partial<Readable>).destroy?.());
  return legacy.pipe(stream);
}

function lengthOf(body: StreamedForm): number | undefined {
  return body.hasKnownLength?.() === true ? body.getLengthSync?.() : undefined;
}

function typeOf(body: StreamedForm): { type?: string } {
  const type = typeof body.getHeaders === 'function' ? body.getHeaders()['content-type'] : undefined;
  return type === undefined ? {} : { type };
}

/** A form in parts, as the Fetch standard writes it: its length is known, and it can be read again. */
function multipart(form: FormData, path: string): BodyContent {
  const boundary = `moorline-${crypto().randomUUID()}`;
  const type = `multipart/form-data; boundary=${boundary}`;
  const parts: (Uint8Array | Blob)[] = [];
  let text = '';
  const flush = () => {
    if (text !== '') parts.push(Buffer.from(text));
    text = '';
  };
  for (const [name, value] of form as Iterable<[string, unknown]>) {
    text += `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(withLineBreaks(name))}"`;
    if (typeof value === 'string') {
      text += `\r\n\r\n${withLineBreaks(value)}\r\n`;
    } else if (isBlob(value)) {
      const { name: file = 'blob' } = value as Partial<File>;
      const kind = /^[\x20-\x7e]+$/.test(value.type) ? value.type : 'application/octet-stream';
      text += `; filename="${quoted(file)}"\r\nContent-Type: ${kind}\r\n\r\n`;
      flush();
      if (value.size > 0) parts.push(value);
      text = '\r\n';
    } else {
      throw invalidTypeRedacted(`${path}.${name}`, 'text or a Blob', value);
    }
  }
  text += `--${boundary}--\r\n`;
  flush();
  if (parts.length === 1) return { body: parts[0] as Uint8Array, type };
  const length = parts.reduce((sum, part) => sum + ('size' in part ? part.size : part.length), 0);
  return { source: { open: () => concatenated(parts), length, repeatable: true }, type };
}

async function* concatenated(parts: readonly (Uint8Array | Blob)[]): StreamedBody {
  for (const part of parts) {
    if ('size' in part) yield* part.stream() as StreamedBody;
    else yield part;
  }
}

function withLineBreaks(text: string): string {
  return text.replace(/\r\n|\r|\n/g, '\r\n');
}

function quoted(text: string): string {
  return text.replaceAll('\r', '%0D').replaceAll('\n', '%0A').replaceAll('"', '%22');
}
