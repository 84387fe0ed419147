import { isDeepStrictEqual } from 'node:util';

import { log } from './logger';

/** The one instance of a service in this JavaScript environment (main thread or worker). */
export interface Singleton<Options, T> {
  /** The instance; `options` count when this call makes it. */
  get(options?: Options): T;
  /** Forgets the instance and returns it, so that it can be closed. */
  reset(): T | undefined;
}

/** Makes the instance at the first `get`. Other options later change nothing, which is warned about once. */
export function singleton<Options, T>(service: string, create: (options?: Options) => T): Singleton<Options, T> {
  let current: { instance: T; options: Options | undefined; warned: boolean } | undefined;
  return {
    get(options) {
      current ??= { instance: create(options), options, warned: false };
      const ignored = options !== undefined && !current.warned && !isDeepStrictEqual(options, current.options);
      if (ignored) {
        current.warned = true;
        log('warn', `${service}.options-ignored`, service, () => ({
          reason: 'a shared instance already exists; its options stay in force until it is reset',
        }));
      }
      return current.instance;
    },
    reset() {
      const instance = current?.instance;
      current = undefined;
      return instance;
    },
  };
}
