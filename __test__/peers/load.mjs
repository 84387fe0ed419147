// Some peers are ES modules only, which resolve from where `import()` stands.
export const load = (name) => import(name);
