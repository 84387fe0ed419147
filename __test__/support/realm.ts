// The package loaded in a `vm` context, as test runners such as Jest load what they test: with that context's classes, and
// the addon from outside.
import { readFileSync } from 'node:fs';
import { builtinModules, createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type Context, compileFunction, createContext, runInContext } from 'node:vm';
import { dist } from './paths';

/** A copy of the package, and the context that it runs in. */
export interface Realm {
  /** The exports of a compiled file: `index`, `libsql`, `native`. */
  load(name: string): any;
  /** What an expression gives in the context, such as a class of its own. */
  evaluate(expression: string): any;
}

/** What Node has beside the language, but for these names; a context has none of it. */
function nodeGlobals(without: readonly string[]): Record<string, unknown> {
  const own = new Set(Object.getOwnPropertyNames(runInContext('globalThis', createContext())));
  const names = Object.getOwnPropertyNames(globalThis).filter((name) => !own.has(name) && !without.includes(name));
  return Object.fromEntries(names.map((name) => [name, (globalThis as Record<string, unknown>)[name]]));
}

/** @param without Names of Node's globals that the context has not. */
export function makeRealm(without: readonly string[] = []): Realm {
  const context: Context = createContext(nodeGlobals(without));
  const modules = new Map<string, { exports: unknown }>();

  function run(file: string): unknown {
    const known = modules.get(file);
    if (known) return known.exports;
    const module = { exports: {} };
    modules.set(file, module);
    const outside = createRequire(file);
    const inside = (name: string): unknown => {
      const bare = name.replace(/^node:/, '');
      if (name.endsWith('.node') || builtinModules.includes(bare)) return outside(name);
      return run(outside.resolve(name));
    };
    const parameters = ['exports', 'require', 'module', '__filename', '__dirname'];
    const body = compileFunction(readFileSync(file, 'utf8'), parameters, { parsingContext: context, filename: file });
    body(module.exports, inside, module, file, dirname(file));
    return module.exports;
  }

  return {
    load: (name) => run(join(dist, `${name}.js`)),
    evaluate: (expression) => runInContext(expression, context),
  };
}
