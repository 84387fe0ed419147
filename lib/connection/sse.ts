import { MoorlineError } from '../error';
import { EventStreamTransport, type EventStreamClosed, type SSEEvent } from '../sse';
import { EventStreamCursor, type EventStreamCursorOptions } from '../sse-cursor';
import { requireUrl, type ConnectionConfig } from './config';
import { LastingConnection, type Line, type LineListener } from './lasting';
import { ConnectionType } from './state';
import { traceHeaders } from './trace';
import { transportOptions } from './transport';

/** @internal */
interface StreamLine extends Line {
  readonly stream: EventStreamTransport;
}

/**
 * A stream of server-sent events, brought back when it is lost: the next one goes on after the last event that came
 * (`Last-Event-ID`), and not before the server's own `retry:` has passed.
 *
 * `receive` gives one {@link SSEEvent} after the other. Nothing can be sent.
 *
 * `customOptions.cursor`, `{ url: 'file:cursors.db', name: 'orders' }`, keeps the id of the last event that was handed out
 * in a libSQL database: a new process goes on there. What a crash cuts off comes again.
 */
export class SSEConnection extends LastingConnection<SSEEvent> {
  readonly #cursor: EventStreamCursor | undefined;

  /** @throws TypeError `SSE connection requires a URL`; TypeError, RangeError for another option. */
  constructor(config: ConnectionConfig) {
    super(config, ConnectionType.SSE);
    requireUrl(this.config, 'SSE');
    const cursor = this.config.customOptions['cursor'] as EventStreamCursorOptions | undefined;
    this.#cursor = cursor && new EventStreamCursor(cursor, (error) => this.failed(error, 'cursor'));
  }

  /** The id after which the next connection goes on; empty when there was none. */
  get lastEventId(): string {
    return (this.last as StreamLine | undefined)?.stream.lastEventId ?? '';
  }

  /** Always false: events come from the server only. That is no error. */
  override async send(_data?: unknown): Promise<boolean> {
    return false;
  }

  protected override async sendImpl(): Promise<boolean> {
    return false;
  }

  protected override receiveImpl(): Promise<unknown> {
    return this.receive();
  }

  protected override parse(event: SSEEvent): SSEEvent {
    return event;
  }

  /** @internal */
  protected override handedOut({ lastEventId }: SSEEvent): void {
    if (lastEventId !== '') this.#cursor?.keep(lastEventId);
  }

  protected override async disconnectImpl(): Promise<boolean> {
    const closed = await super.disconnectImpl();
    await this.#cursor?.flush();
    return closed;
  }

  /** @internal */
  protected override async open(
    url: string,
    signal: AbortSignal,
    listener: LineListener<SSEEvent>,
  ): Promise<StreamLine> {
    const { timeout, keepAlive, customHeaders } = this.config;
    const stream = new EventStreamTransport(
      {
        url,
        headers: { ...customHeaders, ...traceHeaders() },
        connectTimeoutMs: timeout,
        timeoutMs: timeout,
        idleTimeoutMs: keepAlive,
        lastEventId: this.lastEventId,
        // Later ones go on after what came, some of which may still wait to be handed out.
        ...(!this.last && this.#cursor && { cursor: this.#cursor, cursorMoves: 'manual' as const }),
        ...transportOptions(this.config),
      },
      {
        onEvents: (events) => listener.arrived(events),
        onClose: (closed) => listener.lost(lossOf(closed, stream.retryMs), closed.stopped),
      },
    );
    await stream.connect(signal);
    return {
      stream,
      pause: () => stream.pause(),
      resume: () => stream.resume(),
      keep: (alive) => (alive ? stream.ref() : stream.unref()),
      close: async () => stream.close(),
    };
  }
}

/** Why it ended, and how long the server wants us to stay away. */
function lossOf({ error }: EventStreamClosed, retryMs: number | undefined): MoorlineError {
  const message = error?.message ?? 'the server ended the event stream';
  const loss = new MoorlineError(
    message,
    {
      kind: error?.kind ?? 'disconnected',
      code: error?.code ?? 'ERR_MOORLINE_DISCONNECTED',
      service: 'sse',
      operation: 'receive',
      delivery: error?.delivery ?? 'unknown',
      retryable: error?.retryable ?? true,
      attempts: 1,
      ...(retryMs !== undefined && { retryAfterMs: retryMs }),
      ...(error?.detail && { detail: error.detail }),
    },
    { cause: error },
  );
  return loss;
}
