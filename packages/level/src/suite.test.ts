import { ownSuite } from "./suite.test-support.ts";

ownSuite({ storage: "memory", worker: false });
