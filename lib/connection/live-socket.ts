import { failure, type MoorlineError } from '../runtime/error';
import { native } from '../runtime/native';
import type { SocketCloseEvent, SocketListener, SocketTransport } from '../websocket/transport';
import type { LiveTransport, TransportListener } from './live-transport';

/** So many batches are parsed one message after the other when one could not be parsed at once. */
const BATCHES_APART = 100;

/** The connection of a {@link LiveSocket}. */
interface SocketOwner {
  /** Whether all text is parsed as JSON. */
  readonly parsesJson: boolean;
  readonly closeFrame: [code?: number, reason?: string];
}

/** The open WebSocket of a connection. */
export class LiveSocket implements LiveTransport, SocketListener {
  socket!: SocketTransport;
  isTaken = false;
  loss: MoorlineError | undefined = undefined;
  readonly #connection: SocketOwner;
  readonly #listener: TransportListener<string | Buffer>;
  #hasHandlers = false;
  #joinsJson = false;
  /** The batches that are still to be parsed one message after the other. */
  #apart = 0;

  constructor(connection: SocketOwner, listener: TransportListener<string | Buffer>) {
    this.#connection = connection;
    this.#listener = listener;
  }

  onMessages(messages: (string | Buffer)[]): void {
    if (this.#apart > 0 && --this.#apart === 0) this.#updateJoinsJson();
    this.#listener.onMessages(this.#connection, this, messages);
  }

  onJsonList(text: string, count: number): void {
    const values = parseList(text);
    if (values?.length === count) {
      return this.#listener.onParsed(this.#connection, this, values, () => native.websocketSplitJoinedJson(text));
    }
    this.#apart = BATCHES_APART;
    this.#updateJoinsJson();
    this.#listener.onMessages(this.#connection, this, native.websocketSplitJoinedJson(text));
  }

  onClose(closed: SocketCloseEvent): void {
    const { code, error } = closed;
    const isNormal = !error && native.connectionIsNormalClose(code);
    const isFinal = native.connectionIsFinalClose(code, error?.kind === 'protocol');
    this.#listener.onLost(this.#connection, this, toError(closed), { isFinal, isNormal });
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  setHasHandlers(hasHandlers: boolean): void {
    this.#hasHandlers = hasHandlers;
    this.#updateJoinsJson();
  }

  setReferenced(referenced: boolean): void {
    if (referenced) this.socket.ref();
    else this.socket.unref();
  }

  close(): Promise<void> {
    return this.socket.close(...this.#connection.closeFrame);
  }

  /** JSON is parsed together where handlers get it at once. */
  #updateJoinsJson(): void {
    const joinsJson = this.#hasHandlers && this.#apart === 0 && this.#connection.parsesJson;
    if (joinsJson !== this.#joinsJson) this.socket.setJoinsJson((this.#joinsJson = joinsJson));
  }
}

/** The elements of a list of JSON; `undefined` where one of them is none. */
function parseList(text: string): unknown[] | undefined {
  try {
    return JSON.parse(text) as unknown[];
  } catch {
    return undefined;
  }
}

function toError({ code, reason, error }: SocketCloseEvent): MoorlineError {
  if (error) return error;
  return failure('disconnected', `the server closed the connection: ${code}${reason && ` ${reason}`}`, {
    service: 'websocket',
    operation: 'receive',
    idempotent: true,
    detail: { closeCode: code, reason },
  });
}
