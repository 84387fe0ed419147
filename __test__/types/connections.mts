// What the types of connections know.
import {
  type BaseConnection,
  CircuitBreaker,
  type CircuitState,
  type ConnectionEvent,
  type ConnectionState,
  HTTPConnection,
  type HTTPResponse,
  MoorlineError,
  SSEConnection,
  type SSEEvent,
  WebSocketConnection,
} from 'moorline';

declare module 'moorline' {
  interface ConnectionEventData {
    moored: { berth: number };
  }
}

const api = new HTTPConnection({ url: 'https://api.example.com', customHeaders: async () => ({ authorization: 'x' }) });
const feed = new SSEConnection({ url: 'https://api.example.com/events' });
const socket = new WebSocketConnection({ url: 'wss://api.example.com', customOptions: { parse: false } });

// An event is told apart by its type, one of the user's own included.
export function describe(event: ConnectionEvent): string {
  switch (event.eventType) {
    case 'state_changed': {
      const state: ConnectionState = event.data.new_state;
      return state + (event.data.reason ?? '');
    }
    case 'circuit_breaker_refused':
      return new Date(event.data.retry_at ?? 0).toISOString();
    case 'health_check_failed':
      return event.data.result.errorMessage ?? '';
    case 'metrics':
      return event.data.response_time.toFixed() + event.data.request_time.toFixed();
    case 'retry':
      return event.data.reason + event.data.attempt.toFixed() + event.data.delay_ms.toFixed();
    case 'moored':
      return event.data.berth.toFixed();
    case 'reconnected':
      return event.connectionId;
    default:
      return event.message ?? '';
  }
}
api.onEvent((event) => console.log(describe(event)));
// @ts-expect-error No event has this type.
api.onEvent((event) => event.eventType === 'state_change');
api.on('state', ({ from, to }) => console.log(from === 'connected', to.length));
// @ts-expect-error No state of a connection.
api.on('state', ({ to }) => to === 'opened');
new CircuitBreaker('x').on('state', ({ to }) => console.log(to satisfies CircuitState));

// What is received.
export const event: Promise<SSEEvent | null> = feed.receive({ timeoutMs: 1 });
// @ts-expect-error There may be none.
feed.receive().then((received) => received.data);
feed.onMessage(({ lastEventId }) => console.log(lastEventId.length), { concurrency: 4 });
feed.unref().ref();
export const opened: Promise<boolean> = feed.connect({ retry: true });
export const closed: Promise<boolean> = socket.disconnect(4000, 'moved');
// @ts-expect-error Only a WebSocket has a close code.
api.disconnect(4000);

// What a WebSocket brings, the caller says; else it may be anything.
const orders = new WebSocketConnection<{ id: number }>({ url: 'wss://api.example.com' });
export const order: Promise<{ id: number } | null> = orders.receive();
orders.onMessage(({ id }) => id.toFixed());
orders.on('message', ({ id }) => id.toFixed()).once('message', async ({ id }) => id.toFixed());
orders
  .off('message', console.log)
  .on('state', ({ to }) => console.log(to))
  .unref();
// @ts-expect-error No message has this.
orders.on('message', ({ name }) => name);
// @ts-expect-error No event has this name.
orders.on('messages', () => undefined);
for await (const { id } of orders) console.log(id.toFixed());
socket.on('message', (message) => message.anything.at.all);
socket.onMessage((message) => message.anything);
for await (const message of socket) console.log(message.anything);
feed.on('message', ({ lastEventId }) => lastEventId.length);
export const anyOf: WebSocketConnection = orders;
export const ofAnyKind: BaseConnection[] = [api, feed, orders];
export function follow(connection: HTTPConnection | SSEConnection | WebSocketConnection): void {
  connection.on('state', ({ to }) => console.log(to));
}
export class Orders extends WebSocketConnection {
  protected override parse(message: string | Buffer): unknown {
    return String(message);
  }
}

// What a refusal tells.
feed.onEvent((event) => {
  if (event.eventType !== 'error' || !(event.data.error instanceof MoorlineError)) return;
  const { status, headers, body, limit } = event.data.error.detail ?? {};
  console.log(status?.toFixed(), headers?.['retry-after']?.length, body?.length, limit?.length);
});

// What is sent: a request has keys of a request only, anything else is data.
export const answer: Promise<HTTPResponse | null> = api.send({ method: 'GET', url: '/ships', query: { page: 2 } });
export const sent: Promise<boolean> = api.send({ event: 'signup', method: 'delete', id: 7 });
export const list: Promise<boolean> = api.send([1, 2]);
export const anything: Promise<boolean> = api.send({} as unknown);
// @ts-expect-error A misspelt key of a request.
api.send({ method: 'POST', url: '/ships', jsno: { name: 'Aurora' } });
// @ts-expect-error The same with a method whose name is known at run time only.
api.send({ method: String('POST'), url: '/ships', jsno: { name: 'Aurora' } });

// What an answer is, the caller says.
export async function names(): Promise<string[]> {
  const response = await api.request({ url: '/ships' });
  return response.json<{ name: string }[]>().map(({ name }) => name);
}
