/** @param {import("./report.mjs").Measured} _ @returns {{file: string, title: string, svg: string}[]} */
export const plots = (_) => [];
