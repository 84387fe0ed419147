import { call } from './call';
import { dress, type MoorlineError } from './error';
import { native } from './native';

/** What an {@link EventStreamCursor} is made from. */
export interface EventStreamCursorOptions {
  /** The database the id is kept in: `file:path`, or a libSQL server. */
  url: string;
  /** The token of a remote database. */
  authToken?: string | undefined;
  /** Whose place it is: one name for each reader of each stream. */
  name: string;
}

/**
 * The last event id in a database, so that a new process goes on where the old one stopped. Ids are written at once, then
 * five times a second at most; what a crash cuts off comes again.
 */
export class EventStreamCursor {
  readonly #cursor;

  /** `onLost` hears of a write that failed while nobody waited for it. Nothing is opened yet. */
  constructor({ name, ...database }: EventStreamCursorOptions, onLost: (error: MoorlineError) => void) {
    if (typeof name !== 'string' || name === '') {
      throw Object.assign(new TypeError('cursor.name must be a string that is not empty'), {
        code: 'ERR_INVALID_ARG_TYPE',
      });
    }
    this.#cursor = native.sseCursorOpen(database, name, (failure) => onLost(dress(failure) as MoorlineError));
  }

  /** The id that was kept last, by this process or another; empty when there is none. */
  load(): Promise<string> {
    return call(() => native.sseCursorLoad(this.#cursor));
  }

  /** Keeps an id, soon. */
  keep(id: string): void {
    native.sseCursorKeep(this.#cursor, id);
  }

  /** Resolves when what was kept is written. */
  flush(): Promise<void> {
    return call(() => native.sseCursorFlush(this.#cursor));
  }

  /** Writes what is not written yet, and closes the database. */
  close(): Promise<void> {
    return call(() => native.sseCursorClose(this.#cursor));
  }
}
