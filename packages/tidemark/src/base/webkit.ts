/** WebKit by its name, since there is no feature to ask for: Safari, every browser on iOS, and WebKitGTK. */
export const isWebKit = (userAgent: string): boolean => /AppleWebKit\/(?!.*Chrom)/.test(userAgent);
