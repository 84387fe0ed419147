const { NEXT_ROOT: root, NEXT_DIST: distDir, NEXT_EXTERNAL: external } = process.env;

export default {
  distDir,
  outputFileTracingRoot: root,
  turbopack: { root },
  serverExternalPackages: external ? ['moorline'] : [],
};
