export default { optimizeDeps: { exclude: ["tidemark"] } };
