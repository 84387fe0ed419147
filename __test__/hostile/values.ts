// Values that no caller ought to pass.
import { runInNewContext } from 'node:vm';

import { native } from '../support/native';
import { pick } from './random';

/** What the getters and the traps of the values below throw: a user's own exception, which passes through. */
export class UserError extends Error {}

const throwing = (): never => {
  throw new UserError('a getter of the user');
};

function revoked(target: object): unknown {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

function detached(): ArrayBuffer {
  const buffer = new ArrayBuffer(64);
  structuredClone(buffer, { transfer: [buffer] });
  return buffer;
}

function cyclic(): unknown {
  const whole: Record<string, unknown> = {};
  whole['self'] = whole;
  whole['list'] = [whole];
  return whole;
}

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < depth; level++) value = level % 2 ? [value] : { value };
  return value;
}

/** An array that shrinks while it is read. */
function shrinking(): unknown[] {
  const list: unknown[] = [1, 2, 3, 4];
  Object.defineProperty(list, 0, { enumerable: true, get: () => ((list.length = 1), 0) });
  return list;
}

const traps = Object.fromEntries(
  ['get', 'has', 'ownKeys', 'getOwnPropertyDescriptor', 'getPrototypeOf'].map((trap) => [trap, throwing]),
) as ProxyHandler<object>;

/** More elements than are taken over. With the most there can be, JavaScript itself hangs in `String(array)`. */
const SPARSE = 1_000_001;

const SIMPLE: readonly unknown[] = [
  undefined, null, true, false, 0, -0, 1, -1, 0.5, NaN, Infinity, -Infinity, 2 ** 31, 2 ** 32, 2 ** 53, 1e308, -1e308, 5e-324,
  0n, -1n, 2n ** 63n, 2n ** 20_000n, '', 'a', '\0', '\r\n', '\ud800', '__proto__', 'constructor', '../..', 'SELECT 1',
  ':memory:', 'http://127.0.0.1:1/', 'http://[::1', 'ws://127.0.0.1:1/', '💥'.repeat(50), 'x'.repeat(70_000), '1', 'NaN', '[]', '{}',
]; // prettier-ignore

const MADE: readonly (() => unknown)[] = [
  () => Symbol('hostile'),
  () => Symbol.iterator,
  () => () => undefined,
  () => async () => ({}),
  () => function* () {},
  () => class {},
  () => [],
  () => ({}),
  () => Object.create(null) as object,
  () => new Array(7),
  () => new Array(SPARSE),
  () => Object.assign([], { [SPARSE]: 1 }),
  () => ({ length: 2 ** 53 }),
  () => new Map([['url', ':memory:']]),
  () => new Set([1]),
  () => new WeakMap(),
  () => new Date(NaN),
  () => new Date(8.64e15),
  () => /x/g,
  () => new Error('given'),
  () => new Proxy({}, traps),
  () => new Proxy([], traps),
  () => new Proxy([], { get: (target, key) => (key === 'length' ? SPARSE : Reflect.get(target, key)) }),
  () => revoked({}),
  () => revoked([]),
  () => revoked(() => undefined),
  () => Object.defineProperty({}, 'url', { enumerable: true, get: throwing }),
  () => Object.defineProperty({}, 'signal', { enumerable: true, get: throwing }),
  () => Object.defineProperty([1, 2], 0, { enumerable: true, get: throwing }),
  () => ({ toString: throwing, valueOf: throwing, [Symbol.toPrimitive]: throwing }),
  () => ({ [Symbol.iterator]: throwing }),
  () => ({ get then(): never { return throwing(); } }), // prettier-ignore
  () => ({ toJSON: throwing }),
  shrinking,
  cyclic,
  () => nested(12),
  () => nested(2000),
  () => new Uint8Array(0),
  () => new Uint8Array(100).fill(0xff),
  () => new Float64Array(8),
  () => new BigInt64Array(2),
  () => new DataView(new ArrayBuffer(9), 3),
  () => Buffer.from('{"a":1}'),
  () => new ArrayBuffer(16),
  () => new SharedArrayBuffer(16),
  () => new Uint8Array(new SharedArrayBuffer(16)),
  detached,
  () => new Uint8Array(detached()),
  () => runInNewContext('({ url: "http://127.0.0.1:1/" })') as unknown,
  () => runInNewContext('[1, [2], new Uint8Array(3)]') as unknown,
  () => runInNewContext('new ArrayBuffer(8)') as unknown,
  () => runInNewContext('() => 1') as unknown,
  () => Promise.resolve(1),
  () => AbortSignal.abort(new UserError('given up')),
  () => ({ aborted: true }),
  () => ({ signal: AbortSignal.abort(new UserError('given up')) }),
  () => ({ signal: {} }),
  () => ({ timeoutMs: -1 }),
  () => ({ timeoutMs: 'soon' }),
  () => native.testForeign(),
  () => native.cancelCreate(),
];

/** One value, alone or as a member or an element of something that looks right. */
export function hostile(random: () => number, names: readonly string[], depth = 0): unknown {
  const choice = random();
  if (choice < 0.35) return pick(SIMPLE, random);
  if (choice < 0.8 || depth > 2) return pick(MADE, random)();
  if (choice < 0.87) return Array.from({ length: Math.floor(random() * 4) }, () => hostile(random, names, depth + 1));
  const entries = Array.from({ length: 1 + Math.floor(random() * 3) }, () => [
    pick(names, random),
    hostile(random, names, depth + 1),
  ]);
  return Object.fromEntries(entries) as unknown;
}
