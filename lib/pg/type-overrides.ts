import { type TypeParsers, TypeRegistry } from '../postgres/types/registry';
import { types as registry } from '../postgres/types/sets';

/** The parsers of values by the number of their type. Setting one changes all results that are read by it. */
export const types: Pick<TypeRegistry, 'builtins' | 'arrayParser' | 'setTypeParser' | 'getTypeParser'> = {
  builtins: registry.builtins,
  arrayParser: registry.arrayParser,
  // Programs take them out of the object.
  setTypeParser: registry.setTypeParser.bind(registry),
  getTypeParser: registry.getTypeParser.bind(registry),
};

/** Parsers of one's own, for the option `types`; what it has none for, `userTypes` has. */
export class TypeOverrides extends TypeRegistry {
  constructor(userTypes: TypeParsers = registry) {
    super([], userTypes);
  }
}
