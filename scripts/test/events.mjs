// A reporter of node:test for the runner: what begins and what ends, an event a line.
const TYPES = ['test:dequeue', 'test:complete', 'test:pass', 'test:fail'];

export default async function* events(source) {
  for await (const { type, data } of source) {
    if (!TYPES.includes(type)) continue;
    const { name, nesting, details, skip, todo } = data;
    const failure = details?.error?.failureType;
    yield `${JSON.stringify({ type, name, nesting, suite: details?.type === 'suite', failure, skip, todo })}\n`;
  }
}
