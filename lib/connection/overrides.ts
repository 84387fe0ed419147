type Verb = 'connect' | 'disconnect' | 'healthCheck';

/** A connection, as far as its verbs can be written over. */
type Verbs = { [V in Verb]: (...given: never) => Promise<unknown> } & { isConnected(): unknown };
type Around = { [V in Verb]: (own: () => unknown) => Promise<unknown> };

/** Verbs that classes of this package have overridden, and that do all that those of the base do. */
const ours = new WeakSet<object>();

/** Marks a verb of a class of this package as equal to that of the base. */
export function builtIn(verb: object): void {
  ours.add(verb);
}

/** Whether a class has a verb of its own. */
export function isOverridden(connection: Verbs, base: Verbs, verb: Verb): boolean {
  return connection[verb] !== base[verb] && !ours.has(connection[verb]);
}

/** Returns what `isConnected` does, and false where it throws, as one of a user's may. */
export async function isOpen(connection: Verbs): Promise<boolean> {
  try {
    return (await connection.isConnected()) as boolean;
  } catch {
    return false;
  }
}

/** State, health and events also for a class that overrides the verbs themselves: each goes through `around`. */
export function wrapOverrides(connection: Verbs, base: Verbs, around: Around): void {
  for (const verb of ['connect', 'disconnect', 'healthCheck'] as const) {
    if (!isOverridden(connection, base, verb)) continue;
    const own = connection[verb] as unknown as (...given: unknown[]) => unknown;
    const value = async (...given: unknown[]) => around[verb](() => own.apply(connection, given));
    Object.defineProperty(connection, verb, { value, writable: true, configurable: true });
  }
}
