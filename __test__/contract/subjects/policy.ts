import { MoorlineError, Policy, type PolicyOptions } from 'moorline';

import type { Subject } from '../contract';

/** Retry, breaker, timeouts and bulkhead around functions. */
export const policy: Subject = {
  name: 'Policy',
  service: 'resilience',
  lacks: { close: 'it has nothing to close: it goes with its last reference' },
  async start(_, concurrency = 1) {
    const options: PolicyOptions = {
      attemptTimeoutMs: 1000,
      retry: { maxRetries: 1, baseDelayMs: 1, budget: false },
      // However many fail, it is the breaker that is not to be noticed here.
      breaker: { failMax: 1_000_000_000 },
      bulkhead: { maxConcurrent: concurrency, maxQueue: 1000 },
    };
    const policy = new Policy(options);
    const noRetryPolicy = new Policy({ ...options, retry: false });
    const broken = new Policy({ breaker: { failMax: 1, resetTimeoutMs: 600_000 } });
    await broken.run(() => Promise.reject(new Error('down'))).catch(() => undefined);
    return {
      operate: (options) => policy.run(() => new Promise(setImmediate), options),
      // What a policy passes on is the function's own error, here one as a service under it would throw.
      fail: () => policy.run(async () => Promise.reject(failure())),
      stall: (options) => noRetryPolicy.run(() => new Promise(() => undefined), options),
      refuse: () => broken.run(() => undefined),
      async hold() {
        let finish!: () => void;
        const work = new Promise<void>((resolve) => (finish = resolve));
        void policy.run(() => work);
        return { finish };
      },
    };
  },
};

function failure(): MoorlineError {
  return new MoorlineError('the connection was lost', {
    kind: 'disconnected',
    code: 'ECONNRESET',
    service: 'resilience',
    operation: 'a function',
    delivery: 'unknown',
    retryable: true,
    attempts: 1,
  });
}
