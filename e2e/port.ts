/** Where the playground is served to the tests: two runs on one machine want a port each. */
export const port = Number(process.env["E2E_PORT"] ?? 4173);
