import type { MoorlineError } from '../runtime/error';

/** The open transport of a persistent connection: one socket, or one stream. */
export interface LiveTransport {
  /** Whether its connection has taken it into use; until then it keeps the error with which it ended. */
  isTaken: boolean;
  loss: MoorlineError | undefined;
  /** Stops reading, so that the other side waits. */
  pause(): void;
  resume(): void;
  /** Sets whether messages go to handlers at once, or wait until they are asked for. */
  setHasHandlers(hasHandlers: boolean): void;
  /** Sets whether it keeps the process alive. */
  setReferenced(referenced: boolean): void;
  /** Closes it for good; its listener is not called any more. */
  close(): Promise<void>;
}

/** What a {@link LiveTransport} tells the connection that it belongs to. */
export interface TransportListener<Message> {
  /** Called with messages that came. */
  onMessages(connection: object, transport: LiveTransport, messages: readonly Message[]): void;
  /** Called with the values of messages that were parsed together; `messages` gives them as they came. */
  onParsed(
    connection: object,
    transport: LiveTransport,
    values: readonly unknown[],
    messages: () => readonly Message[],
  ): void;
  /** Called when it ended by itself. */
  onLost(connection: object, transport: LiveTransport, error: MoorlineError, end: TransportEnd): void;
}

/** The end of a {@link LiveTransport} that was not closed here. */
export interface TransportEnd {
  /** Whether it should not be opened again. */
  isFinal: boolean;
  /** Whether the server ended it properly, so that nothing is missing. */
  isNormal: boolean;
}
