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

/**
 * Subscribes the listeners of `message` of an emitter: while it has any, they are subscribed by `subscribe`, which
 * returns the function that unsubscribes them.
 */
export function subscribeListeners<Message>(
  connection: object,
  subscribe: (listeners: ListenerSource<Message>) => () => void,
): void {
  const emitter = connection as EventEmitter;
  const listeners = () => emitter.rawListeners('message').map((listener) => listener.bind(emitter)) as any[];
  let unsubscribe: (() => void) | undefined;
  const onAdded = (event: unknown) => {
    if (event === 'message') unsubscribe ??= subscribe(listeners);
  };
  const onRemoved = (event: unknown, listener: unknown) => {
    // `removeAllListeners()` takes these two off as well.
    if (listener === onAdded) queueMicrotask(attach);
    if (event !== 'message' || emitter.listenerCount('message') > 0) return;
    unsubscribe?.();
    unsubscribe = undefined;
  };
  const attach = () => {
    if (emitter.listenerCount('message') > 0) onAdded('message');
    emitter.off('removeListener', onRemoved).on('removeListener', onRemoved).on('newListener', onAdded);
  };
  attach();
}
