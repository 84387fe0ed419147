/** One event on its way through the user's code. */
export class Acknowledgement {
  /** @internal The id after which a stream goes on when this event, and all before it, were handled. */
  id: string;
  /** @internal */
  state: 'pending' | 'failed' | 'handled' = 'pending';
  /** @internal */
  previous: Acknowledgement | undefined;
  /** @internal */
  next: Acknowledgement | undefined;
  /** @internal Which of the lists of its owner it belongs to. */
  readonly list: number;
  readonly #owner: Acknowledgements;

  /** @internal */
  constructor(owner: Acknowledgements, id: string, list: number) {
    this.#owner = owner;
    this.id = id;
    this.list = list;
  }

  /** The event was handled. */
  ack(): void {
    this.#owner.markHandled(this);
  }

  /** The event was not handled, and will not be unless it comes again. */
  fail(): void {
    this.#owner.markFailed(this);
  }
}

/**
 * The events of a stream in the order in which they came, until they are handled. Its position is the id of the last
 * event that was handled with all before it.
 *
 * Neighbours that were handled become one, so the list is as long as there are events that were not, and no longer.
 */
export class Acknowledgements {
  readonly #onPosition: (position: string) => void;
  #position = '';
  #last: Acknowledgement | undefined;
  #list = 0;
  #failures = 0;

  /** `onPosition` is called with each new position. */
  constructor(onPosition: (position: string) => void) {
    this.#onPosition = onPosition;
  }

  /** Where to go on so that what failed comes again; `undefined` when nothing did. */
  get retryFrom(): string | undefined {
    return this.#failures > 0 ? this.#position : undefined;
  }

  /** A stream comes that goes on after `position`: what was on its way comes again, and does not count any more. */
  restart(position: string): void {
    this.#position = position;
    this.#last = undefined;
    this.#list += 1;
    this.#failures = 0;
  }

  /** An event came. */
  add(id: string): Acknowledgement {
    const acknowledgement = new Acknowledgement(this, id, this.#list);
    acknowledgement.previous = this.#last;
    if (this.#last) this.#last.next = acknowledgement;
    return (this.#last = acknowledgement);
  }

  /** @internal */
  markHandled(acknowledgement: Acknowledgement): void {
    if (acknowledgement.list !== this.#list || acknowledgement.state === 'handled') return;
    if (acknowledgement.state === 'failed') this.#failures -= 1;
    acknowledgement.state = 'handled';
    if (acknowledgement.next?.state === 'handled') this.#merge(acknowledgement, acknowledgement.next);
    const { previous } = acknowledgement;
    if (previous?.state === 'handled') return this.#merge(previous, acknowledgement);
    if (previous) return;
    this.#remove(acknowledgement);
    if (acknowledgement.id === '' || acknowledgement.id === this.#position) return;
    this.#position = acknowledgement.id;
    this.#onPosition(acknowledgement.id);
  }

  /** @internal */
  markFailed(acknowledgement: Acknowledgement): void {
    if (acknowledgement.list !== this.#list || acknowledgement.state !== 'pending') return;
    acknowledgement.state = 'failed';
    this.#failures += 1;
  }

  /** `later` was handled as well. */
  #merge(acknowledgement: Acknowledgement, later: Acknowledgement): void {
    // An event without an id leaves the position where it is.
    if (later.id !== '') acknowledgement.id = later.id;
    this.#remove(later);
  }

  #remove(acknowledgement: Acknowledgement): void {
    const { previous, next } = acknowledgement;
    if (previous) previous.next = next;
    if (next) next.previous = previous;
    else this.#last = previous;
    acknowledgement.previous = acknowledgement.next = undefined;
  }
}
