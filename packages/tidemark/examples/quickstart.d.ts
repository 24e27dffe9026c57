export {};
//# sourceMappingURL=quickstart.d.ts.map