// What these packages come without. `@types/pouchdb-core` and `@types/pouchdb-find` describe the database itself.
declare module "pouchdb-browser" {
  const PouchDb: PouchDB.Static;
  export = PouchDb;
}
declare module "pouchdb-adapter-indexeddb" {
  const plugin: PouchDB.Plugin;
  export = plugin;
}
