// The bans of deny.toml, for those who have no cargo-deny. It knows what is really built, while Cargo.lock has options, too.

/** Options that nobody takes: of rustls-webpki. */
const NOT_BUILT = ['ring'];

export function bans(tree) {
  const denied = [...tree.read('deny.toml').matchAll(/\{ crate = "([^"]+)"/g)].map(([, name]) => name);
  if (denied.length === 0) return [{ file: 'deny.toml', problem: 'bans nothing' }];
  const packages = new Set([...tree.read('Cargo.lock').matchAll(/^name = "(.+)"$/gm)].map(([, name]) => name));
  return denied
    .filter((name) => packages.has(name) && !NOT_BUILT.includes(name))
    .map((name) => ({ file: 'Cargo.lock', problem: `${name} is banned by deny.toml` }));
}
