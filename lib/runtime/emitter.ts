import { channel, type Channel } from 'node:diagnostics_channel';
import { EventEmitter } from 'node:events';

/** The names of the events that the objects of moorline emit. */
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

/** The fields of every event, beside its own facts. */
export interface MoorlineEvent {
  /** The time, in milliseconds since the epoch. */
  timestamp: number;
  /** The service of the object, such as `libsql`. */
  service: string;
  /** The name of the object, or of the part of it that the event is about. */
  name: string;
  [fact: string]: unknown;
}

/** The facts of the events of a class, by the name of the event; an event without an entry has none of its own. */
export type EventFacts = { [event in EventName]?: object };

/**
 * The event map of an object, for `EventEmitter`: the argument of each event is a {@link MoorlineEvent} with the facts that
 * `Facts` has for it.
 */
export type EventMap<Facts extends EventFacts = EventFacts> = {
  [event in EventName]: [event: MoorlineEvent & (event extends keyof Facts ? Facts[event] : unknown)];
};

/** The channels that were published to, by service: all objects of a service share them. */
const channels = new Map<string, Map<EventName, Channel>>();

function channelsOf(service: string): Map<EventName, Channel> {
  let known = channels.get(service);
  if (!known) channels.set(service, (known = new Map()));
  return known;
}

/** @internal What the events of an object are published as. */
export interface EventSource {
  readonly service: string;
  readonly name: string;
  readonly channels: Map<EventName, Channel>;
}

/** @internal */
export function eventSource(service: string, name: string): EventSource {
  return { service, name, channels: channelsOf(service) };
}

/**
 * @internal Emits `event` with its facts, which are made only when there are listeners. They receive the whole event, or what
 * `argumentOf` makes of it.
 */
export function publishEvent(
  emitter: EventEmitter,
  source: EventSource,
  event: EventName,
  facts?: () => object,
  argumentOf?: (payload: MoorlineEvent) => unknown,
): void {
  const { service, name, channels } = source;
  let diagnostics = channels.get(event);
  if (!diagnostics) {
    diagnostics = channel(`moorline:${service}:${event}`);
    channels.set(event, diagnostics);
  }
  const hasListeners = emitter.listenerCount(event) > 0;
  if (!hasListeners && !diagnostics.hasSubscribers) return;
  const payload: MoorlineEvent = { timestamp: Date.now(), service, name, ...facts?.() };
  diagnostics.publish(payload);
  if (hasListeners) emitGuarded(emitter, event, argumentOf ? argumentOf(payload) : payload);
}

/** @internal Emits an event. What a listener throws becomes an uncaught exception, outside of this call. */
export function emitGuarded(emitter: EventEmitter, event: string, ...args: unknown[]): void {
  try {
    emitter.emit(event, ...args);
  } catch (error) {
    // As for subscribers of the channel.
    process.nextTick(() => {
      throw error;
    });
  }
}

/**
 * An event emitter that also publishes each event on the `diagnostics_channel` `moorline:<service>:<event>`. An event without
 * listeners and subscribers costs nothing, and an `error` event without listeners is not thrown. An error that a listener
 * throws becomes an uncaught exception and does not affect the object.
 */
export class Emitter<Facts extends EventFacts = EventFacts> extends EventEmitter<EventMap<Facts>> {
  readonly #source: EventSource;

  constructor(service: string, name: string) {
    super();
    this.#source = eventSource(service, name);
  }

  /** @internal Emits `event` with its facts, which are made only when there are listeners. */
  protected publish(event: EventName, facts?: () => object): void {
    publishEvent(this as EventEmitter, this.#source, event, facts);
  }
}
