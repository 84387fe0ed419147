import { call } from '../runtime/native-call';
import { toMoorlineError, type MoorlineError } from '../runtime/error';
import { invalidValue, invalidTypeRedacted } from '../runtime/argument-error';
import { isPlainObject } from '../runtime/shape';
import { native } from '../runtime/native';
import { startTimer } from '../runtime/timers';

/** What an {@link EventStreamCursor} is made from. */
export interface EventStreamCursorOptions {
  /** The database the id is kept in: `file:path`, or a libSQL server. */
  url: string;
  /** The token of a remote database. */
  authToken?: string | undefined;
  /** Whose place it is: one name for each reader of each stream. */
  name: string;
}

/** Cursors with an id that may not be written yet. */
const unwrittenCursors = new Set<EventStreamCursor>();
let isWatchingExit = false;

/** Writes what is left once, when the process has nothing more to do; an open stream does not delay that. */
function watchExit(): void {
  if (isWatchingExit) return;
  isWatchingExit = true;
  process.once('beforeExit', () => {
    for (const cursor of unwrittenCursors) cursor.flush().catch(() => undefined);
  });
}

/**
 * The id of an event in a database, so that a new process goes on where the old one stopped. Ids are written at once, then
 * five times a second at most; what a crash cuts off comes again.
 */
export class EventStreamCursor {
  readonly #cursor;
  /** The newest id, not given to the addon yet: it gets one per turn of the event loop. */
  #id: string | undefined;

  /**
   * `onWriteFailed` is called for a write that failed while no call waited for it, and for a stored id that no request can
   * carry. Nothing is opened yet.
   */
  constructor(options: EventStreamCursorOptions, onWriteFailed: (error: MoorlineError) => void) {
    if (!isPlainObject(options)) throw invalidTypeRedacted('options.customOptions.cursor', 'an object', options);
    const { name, ...database } = options;
    if (name === '') throw invalidValue('options.customOptions.cursor.name must not be empty');
    this.#cursor = native.sseCursorOpen(database, name, (failure) =>
      onWriteFailed(toMoorlineError(failure) as MoorlineError),
    );
  }

  /** The id that was kept last, by this process or another; empty when there is none that a request can carry. */
  load(): Promise<string> {
    return call(() => native.sseCursorLoad(this.#cursor));
  }

  /** Keeps an id, soon. */
  keep(id: string): void {
    if (this.#id === undefined) {
      unwrittenCursors.add(this);
      watchExit();
      // Not an immediate: it would keep a process alive on a stream that never pauses, and unreferenced wait for other events.
      startTimer(() => this.#passOn(), 0).unref();
    }
    this.#id = id;
  }

  /** Resolves when what was kept is written. */
  flush(): Promise<void> {
    this.#passOn();
    unwrittenCursors.delete(this);
    return call(() => native.sseCursorFlush(this.#cursor));
  }

  /** Writes what is not written yet, and closes the database. */
  close(): Promise<void> {
    this.#passOn();
    unwrittenCursors.delete(this);
    return call(() => native.sseCursorClose(this.#cursor));
  }

  #passOn(): void {
    if (this.#id === undefined) return;
    native.sseCursorKeep(this.#cursor, this.#id);
    this.#id = undefined;
  }
}
