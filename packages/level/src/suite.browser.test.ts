import { ownSuite } from "./suite.test-support.ts";

// On IndexedDB. It makes a thousand databases, so their engines run here: to start a worker for each takes minutes.
ownSuite({ worker: false });
