// The cost of the bridge between JavaScript and the addon, without the work of a service: one synchronous
// call, and a promise that Rust settles at once, alone and with many in flight. Needs the test functions,
// so `npm run bench -- bridge` builds with them.
import { createRequire } from 'node:module';

import { bench, skipBench } from './harness.mjs';

const { native } = createRequire(import.meta.url)('../dist/runtime/native.js');
if (!native.testIdentity) skipBench('bridge', 'this build has no test functions');

const expect = (answer, wanted) => {
  if (answer !== wanted) throw new Error(`${answer} came back for ${wanted}`);
};

/** One round of 10⁵ hand-written calls; the JavaScript function beside it is the floor. */
function synchronous() {
  const identity = (number) => number;
  const contestant = (name, call) => {
    let n = 0;
    return { name, operation: () => expect(call((n = (n + 1) & 0xffff)), n) };
  };
  return [contestant('moorline', native.testIdentity), contestant('bare', identity)];
}

/** A promise through the whole bridge; a promise that JavaScript resolves by itself is the floor. */
function promised() {
  const contestant = (name, call) => {
    let n = 0;
    return {
      name,
      async operation() {
        const number = ++n;
        expect(await call(number), number);
      },
    };
  };
  return [
    contestant('moorline', (number) => native.testPromise(number, 0)),
    contestant('bare', (number) => Promise.resolve(number)),
  ];
}

await bench('bridge', [
  { name: 'sync call', operations: 200_000, sync: true, contestants: synchronous },
  ...[1, 64, 1000].map((concurrency) => ({
    name: `promise c=${concurrency}`,
    operations: concurrency === 1 ? 20_000 : 100_000,
    concurrency,
    contestants: promised,
  })),
]);
