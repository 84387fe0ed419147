import { channel, type Channel } from 'node:diagnostics_channel';
import { EventEmitter } from 'node:events';

/** The words every object with a life uses for what happens to it. */
export type EventName =
  | 'open'
  | 'close'
  | 'acquire'
  | 'release'
  | 'create'
  | 'destroy'
  | 'timeout'
  | 'leak'
  | 'retry'
  | 'state'
  | 'health'
  | 'drain'
  | 'error';

/** What every event carries, beside its own facts. */
export interface MoorlineEvent {
  /** Milliseconds since the epoch. */
  timestamp: number;
  service: string;
  name: string;
  [fact: string]: unknown;
}

/** What the events of a class carry, by name; an event that is not among them carries nothing of its own. */
export type EventFacts = { [event in EventName]?: object };

/**
 * The events of an object, as for `EventEmitter`: every word carries a {@link MoorlineEvent}, and what `Facts` says of it.
 */
export type EventMap<Facts extends EventFacts = EventFacts> = {
  [event in EventName]: [event: MoorlineEvent & (event extends keyof Facts ? Facts[event] : unknown)];
};

/**
 * An object that tells what happens to it: to its listeners, and on `diagnostics_channel`
 * `moorline:<service>:<event>`. Both are free when nobody listens; an `error` nobody listens to is not thrown. What
 * a listener throws is an uncaught exception, and disturbs nothing here.
 */
export class Emitter<Facts extends EventFacts = EventFacts> extends EventEmitter<EventMap<Facts>> {
  readonly #service: string;
  readonly #name: string;
  readonly #channels = new Map<EventName, Channel>();

  constructor(service: string, name: string) {
    super();
    this.#service = service;
    this.#name = name;
  }

  /** @internal Emits `event` with its facts, which are made only when there are listeners. */
  protected publish(event: EventName, facts?: () => object): void {
    let diagnostics = this.#channels.get(event);
    if (!diagnostics) {
      diagnostics = channel(`moorline:${this.#service}:${event}`);
      this.#channels.set(event, diagnostics);
    }
    const hasListeners = this.listenerCount(event) > 0;
    if (!hasListeners && !diagnostics.hasSubscribers) return;
    const payload: MoorlineEvent = { timestamp: Date.now(), service: this.#service, name: this.#name, ...facts?.() };
    diagnostics.publish(payload);
    if (!hasListeners) return;
    try {
      (this as EventEmitter).emit(event, payload);
    } catch (error) {
      // As for subscribers of the channel: an uncaught exception, outside of this call.
      process.nextTick(() => {
        throw error;
      });
    }
  }
}
