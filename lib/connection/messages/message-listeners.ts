import type { EventEmitter } from 'node:events';

import { queueMicrotask } from '../../runtime/node';
import type { EventMap, EventName } from '../../runtime/emitter';
import type { ConnectionFacts } from '../event';

/** The events of a connection that receives messages. */
export type MessageEventName = EventName | 'message';

/** A listener of the event `Name`, in the form of `EventEmitter`, so that a union of connections has one type of `on`. */
export type Listener<Name, Message> = Name extends EventName
  ? EventMap<ConnectionFacts>[Name] extends unknown[]
    ? (...args: EventMap<ConnectionFacts>[Name]) => void
    : never
  : Name extends 'message'
    ? (message: Message) => unknown
    : never;

/** Returns the functions that are called with a message. */
export type ListenerSource<Message> = () => readonly ((message: Message) => unknown)[];

/** The functions that unsubscribe the listeners of `message`, of emitters that have some. */
const unsubscribers = new WeakMap<EventEmitter, () => void>();

/**
 * Returns a function that watches an emitter for listeners of `message`: while it has any, they are subscribed by
 * `subscribe`, which returns the function that unsubscribes them. All emitters share what it makes.
 */
export function listenerWatcher<Owner extends object, Message>(
  subscribe: (owner: Owner, listeners: ListenerSource<Message>) => () => void,
): (owner: Owner) => void {
  function onAdded(this: EventEmitter, event: unknown): void {
    if (event !== 'message' || unsubscribers.has(this)) return;
    const listeners = () => this.rawListeners('message').map((listener) => listener.bind(this)) as any[];
    unsubscribers.set(this, subscribe(this as object as Owner, listeners));
  }
  function onRemoved(this: EventEmitter, event: unknown, listener: unknown): void {
    // `removeAllListeners()` takes these two off as well.
    if (listener === onAdded) queueMicrotask(() => watch(this));
    if (event !== 'message' || this.listenerCount('message') > 0) return;
    unsubscribers.get(this)?.();
    unsubscribers.delete(this);
  }
  const watch = (emitter: EventEmitter) => {
    if (emitter.listenerCount('message') > 0) onAdded.call(emitter, 'message');
    emitter.off('removeListener', onRemoved).on('removeListener', onRemoved).on('newListener', onAdded);
  };
  return (owner) => watch(owner as object as EventEmitter);
}
