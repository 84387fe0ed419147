// A local stand-in for the forecasting service: it speaks the wire format of the vendor's own client, forecasts by
// repeating the last season, and misbehaves on command.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer, type ServerOptions } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

import { decompress } from 'fzstd';

import { NixtlaJobTable } from './jobs';
import { anomalies, crossValidation, forecast, InvalidBody, onlineAnomalies, type Body } from './model';
import { listen } from '../../support/ports';

/** What the next requests get instead of an answer. */
export type Misbehaviour =
  /** The gateway's refusal; `code` A20 and A21 are quotas. */
  | { kind: 'too-many'; code?: string; retryAfter?: string; retryAfterMs?: number }
  /** A proxy's page. */
  | { kind: 'html'; status: number }
  /** The head and the beginning of the body at once, the rest never. */
  | { kind: 'stalled-body' }
  /** A reset in the middle of the body. */
  | { kind: 'reset' }
  /** Nothing at all. */
  | { kind: 'silence' }
  /** A body that is not JSON. */
  | { kind: 'garbage' }
  /** JSON of this value. */
  | { kind: 'json'; value: unknown };

/** A request as it arrived; its body decompressed and parsed. */
export interface ReceivedRequest {
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  body: Body | undefined;
}

const TOO_MANY_REQUESTS = 'Too many requests';

export class NixtlaServer {
  /** The one key it accepts. */
  readonly key = 'nixtla-test-key';
  readonly received: ReceivedRequest[] = [];
  readonly jobs = new NixtlaJobTable();
  /** Answers as older deployments do: `{ data: … }`. */
  envelope = false;
  /** Keeps what it received. Not for a hundred thousand requests. */
  keepsRequests = true;
  readonly #server: Server;
  readonly #scheme: 'http' | 'https';
  readonly #sockets = new Set<Socket>();
  readonly #misbehaviours: { match: RegExp; misbehaviour: Misbehaviour; times: number }[] = [];

  private constructor(tls: ServerOptions | undefined) {
    const serve = (request: IncomingMessage, response: ServerResponse) => void this.#serve(request, response);
    this.#server = tls ? createSecureServer(tls, serve) : createServer(serve);
    this.#scheme = tls ? 'https' : 'http';
    // Also those that are still shaking hands, of which `closeAllConnections` knows nothing.
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /** Starts a server; over TLS when it is given a certificate. */
  static async start(tls?: ServerOptions): Promise<NixtlaServer> {
    const server = new NixtlaServer(tls);
    await listen(server.#server);
    return server;
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The next `times` requests whose path matches get this instead of an answer. */
  planMisbehaviour(misbehaviour: Misbehaviour, times = 1, match = /^\/v2\//): void {
    this.#misbehaviours.push({ match, misbehaviour, times });
  }

  /** Requests that came for a path, whatever their query. */
  count(path: string): number {
    return this.received.filter((request) => request.path.split('?')[0] === path).length;
  }

  /** The last request that came for a path. */
  last(path: string): ReceivedRequest | undefined {
    return this.received.findLast((request) => request.path.split('?')[0] === path);
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, 'close');
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    let bytes: Uint8Array = Buffer.concat(chunks);
    if (request.headers['content-encoding'] === 'zstd') bytes = decompress(bytes);
    const { method = '', url = '', headers } = request;
    const body = bytes.length > 0 ? (JSON.parse(Buffer.from(bytes).toString()) as Body) : undefined;
    const received = { method, path: url, headers, body };
    if (this.keepsRequests) this.received.push(received);
    const due = this.#misbehaviours.find(({ match, times }) => times > 0 && match.test(url));
    if (due) {
      due.times -= 1;
      return misbehave(due.misbehaviour, response);
    }
    try {
      this.#answer(received, response);
    } catch (error) {
      if (!(error instanceof InvalidBody)) throw error;
      send(response, 422, { detail: [{ loc: error.place, msg: error.message, type: 'value_error' }] });
    }
  }

  #answer({ method, path, headers, body }: ReceivedRequest, response: ServerResponse): void {
    if (headers.authorization !== `Bearer ${this.key}`) {
      const refusal = { data: null, message: 'Invalid API key', details: 'Key not found', code: 'A12' };
      return send(response, 401, { ...refusal, requestID: 'test-request', support: 'nobody' });
    }
    const route = `${method} ${path.split('?')[0]}`;
    const job = this.jobs.answer(route, body);
    if (job) return send(response, job.status, job.body);
    const answer = this.#route(route, body);
    if (answer === undefined) return send(response, 404, { detail: 'Not Found' });
    send(response, 200, this.envelope ? { data: answer } : answer);
  }

  #route(route: string, body: Body | undefined): unknown {
    switch (route) {
      case 'GET /validate_api_key':
        return { detail: 'valid' };
      case 'GET /usage':
        return { minute: { consumed: 1, limit: 200 }, month: { consumed: this.received.length, limit: 1000 } };
      case 'GET /model_params':
        return { detail: { input_size: 28, horizon: 7 } };
      case 'GET /v2/finetuned_models':
        return { finetuned_models: [...this.jobs.models].map((id) => ({ id, base_model_id: 'timegpt-1' })) };
      case 'POST /v2/forecast':
        return forecast(body);
      case 'POST /v2/cross_validation':
        return crossValidation(body);
      case 'POST /v2/anomaly_detection':
        return anomalies(body);
      case 'POST /v2/online_anomaly_detection':
        return onlineAnomalies(body);
      case 'POST /v2/finetune':
        return this.jobs.finetune(body);
      default:
        return this.jobs.deleteModel(route);
    }
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(status === 204 ? undefined : JSON.stringify(body));
}

function misbehave(misbehaviour: Misbehaviour, response: ServerResponse): void {
  switch (misbehaviour.kind) {
    case 'too-many': {
      if (misbehaviour.retryAfter !== undefined) response.setHeader('retry-after', misbehaviour.retryAfter);
      if (misbehaviour.retryAfterMs !== undefined) response.setHeader('retry-after-ms', misbehaviour.retryAfterMs);
      return send(response, 429, {
        data: null,
        message: TOO_MANY_REQUESTS,
        ...(misbehaviour.code !== undefined && { code: misbehaviour.code }),
      });
    }
    case 'html':
      response.writeHead(misbehaviour.status, { 'content-type': 'text/html' });
      response.end('<html><body>busy</body></html>');
      return;
    case 'stalled-body':
      response.writeHead(200, { 'content-length': '1000' });
      response.write('{"mean":[');
      return;
    case 'reset':
      response.writeHead(200, { 'content-length': '1000' });
      response.write('{"mean":[', () => response.socket?.resetAndDestroy());
      return;
    case 'silence':
      return;
    case 'garbage':
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end('{"mean":[1,');
      return;
    case 'json':
      return send(response, 200, misbehaviour.value);
  }
}
