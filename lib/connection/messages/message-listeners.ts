import type { EventEmitter } from 'node:events';

import { queueMicrotask } from '../../runtime/node';
import type { EventMap, EventName } from '../../runtime/emitter';
import type { ConnectionFacts } from '../event';

/** The events of a connection that receives messages. */
export type HeardEvent = EventName | 'message';

/** A listener of the event `Name`, in the form of `EventEmitter`, so that a union of connections has one type of `on`. */
export type Listener<Name, Message> = Name extends EventName
  ? EventMap<ConnectionFacts>[Name] extends unknown[]
    ? (...heard: EventMap<ConnectionFacts>[Name]) => void
    : never
  : Name extends 'message'
    ? (message: Message) => unknown
    : never;

/** Functions that hear a message. */
export type Listeners<Message> = () => readonly ((message: Message) => unknown)[];

/**
 * Lets the listeners of `message` of an emitter hear messages: while it has any, they are subscribed by `subscribe`, which
 * gives the function that ends that.
 */
export function hearListeners<Message>(
  connection: object,
  subscribe: (listeners: Listeners<Message>) => () => void,
): void {
  const emitter = connection as EventEmitter;
  const listeners = () => emitter.rawListeners('message').map((listener) => listener.bind(emitter)) as any[];
  let unsubscribe: (() => void) | undefined;
  const added = (event: unknown) => {
    if (event === 'message') unsubscribe ??= subscribe(listeners);
  };
  const removed = (event: unknown, listener: unknown) => {
    // `removeAllListeners()` takes these two off as well.
    if (listener === added) queueMicrotask(hear);
    if (event !== 'message' || emitter.listenerCount('message') > 0) return;
    unsubscribe?.();
    unsubscribe = undefined;
  };
  const hear = () => {
    if (emitter.listenerCount('message') > 0) added('message');
    emitter.off('removeListener', removed).on('removeListener', removed).on('newListener', added);
  };
  hear();
}
