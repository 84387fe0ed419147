// The transports below the connections, which no entry gives out: contestants called `engine`, so that what a class adds
// is seen. They are no figures of ours. No other bench opens dist/.
import { createRequire } from 'node:module';

const load = createRequire(import.meta.url);
const { HttpTransport } = load('../dist/http/transport.js');
const { SocketTransport } = load('../dist/websocket/transport.js');
const { EventStreamTransport } = load('../dist/sse/transport.js');

/** Requests over HTTP; `read` gives the parsed body. */
export function httpEngine() {
  const transport = new HttpTransport();
  return { read: async (url) => (await transport.request({ url })).data, close: () => transport.close() };
}

/** An open WebSocket; `onMessage` gets every message as a string. */
export async function webSocketEngine(url, onMessage) {
  const onMessages = (batch) => {
    for (const text of batch) onMessage(text);
  };
  const transport = new SocketTransport({ url }, { onMessages, onClose() {} });
  await transport.connect();
  transport.ref();
  return { send: (text) => transport.send(text), close: () => transport.close() };
}

/** An open event stream; `onEvent` gets every event, `onError` why it ended before its end. */
export async function eventStreamEngine(url, onEvent, onError) {
  const onEvents = (events) => {
    for (const event of events) onEvent(event);
  };
  const transport = new EventStreamTransport({ url }, { onEvents, onClose: ({ error }) => error && onError(error) });
  await transport.connect();
  transport.ref();
  return { close: () => transport.close() };
}
