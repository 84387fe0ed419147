type Verb = 'connect' | 'disconnect' | 'healthCheck';

/** A connection, as far as its verbs can be written over. */
type Verbs = { [V in Verb]: (...args: never) => Promise<unknown> } & { isConnected(): unknown };
type Wrappers = { [V in Verb]: (implementation: () => unknown) => Promise<unknown> };

/** Verbs that classes of this package have overridden, and that do all that those of the base do. */
const builtInVerbs = new WeakSet<object>();

/** Marks a verb of a class of this package as equal to that of the base. */
export function markBuiltIn(verb: object): void {
  builtInVerbs.add(verb);
}

/** Whether a class has a verb of its own. */
export function isOverridden(connection: Verbs, base: Verbs, verb: Verb): boolean {
  return connection[verb] !== base[verb] && !builtInVerbs.has(connection[verb]);
}

/** Returns what `isConnected` does, and false where it throws, as one of a user's may. */
export async function isOpen(connection: Verbs): Promise<boolean> {
  try {
    return (await connection.isConnected()) as boolean;
  } catch {
    return false;
  }
}

/** State, health and events also for a class that overrides the verbs themselves: each goes through its wrapper. */
export function wrapOverrides(connection: Verbs, base: Verbs, wrappers: Wrappers): void {
  for (const verb of ['connect', 'disconnect', 'healthCheck'] as const) {
    if (!isOverridden(connection, base, verb)) continue;
    const implementation = connection[verb] as unknown as (...args: unknown[]) => unknown;
    const value = async (...args: unknown[]) => wrappers[verb](() => implementation.apply(connection, args));
    Object.defineProperty(connection, verb, { value, writable: true, configurable: true });
  }
}
