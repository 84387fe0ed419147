/** One event on its way through the user's code. */
export class Delivery {
  /** @internal The id after which a stream goes on when this event, and all before it, were handled. */
  id: string;
  /** @internal */
  state: 'pending' | 'failed' | 'handled' = 'pending';
  /** @internal */
  previous: Delivery | undefined;
  /** @internal */
  next: Delivery | undefined;
  /** @internal Which of the lists of its owner it belongs to. */
  readonly list: number;
  readonly #owner: Deliveries;

  /** @internal */
  constructor(owner: Deliveries, id: string, list: number) {
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
export class Deliveries {
  readonly #onPosition: (position: string) => void;
  #position = '';
  #last: Delivery | undefined;
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
  add(id: string): Delivery {
    const delivery = new Delivery(this, id, this.#list);
    delivery.previous = this.#last;
    if (this.#last) this.#last.next = delivery;
    return (this.#last = delivery);
  }

  /** @internal */
  markHandled(delivery: Delivery): void {
    if (delivery.list !== this.#list || delivery.state === 'handled') return;
    if (delivery.state === 'failed') this.#failures -= 1;
    delivery.state = 'handled';
    if (delivery.next?.state === 'handled') this.#merge(delivery, delivery.next);
    const { previous } = delivery;
    if (previous?.state === 'handled') return this.#merge(previous, delivery);
    if (previous) return;
    this.#remove(delivery);
    if (delivery.id === '' || delivery.id === this.#position) return;
    this.#position = delivery.id;
    this.#onPosition(delivery.id);
  }

  /** @internal */
  markFailed(delivery: Delivery): void {
    if (delivery.list !== this.#list || delivery.state !== 'pending') return;
    delivery.state = 'failed';
    this.#failures += 1;
  }

  /** `later` was handled as well. */
  #merge(delivery: Delivery, later: Delivery): void {
    // An event without an id leaves the position where it is.
    if (later.id !== '') delivery.id = later.id;
    this.#remove(later);
  }

  #remove(delivery: Delivery): void {
    const { previous, next } = delivery;
    if (previous) previous.next = next;
    if (next) next.previous = previous;
    else this.#last = previous;
    delivery.previous = delivery.next = undefined;
  }
}
