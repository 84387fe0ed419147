import type * as Crypto from 'node:crypto';

let loaded: typeof Crypto | undefined;

/** `node:crypto`, loaded when it is first needed: it is a fifth of what loading the whole package would cost. */
export function crypto(): typeof Crypto {
  return (loaded ??= require('node:crypto') as typeof Crypto);
}
