/** A stream of bytes that are made as they are read; what makes them is loaded when the stream is asked for. */
export interface ByteStreamSource {
  /** `undefined` at the end. */
  next(): Promise<Uint8Array | undefined>;
  close(): void;
}

export function byteStream(
  begun: Promise<ByteStreamSource>,
  signal: AbortSignal | undefined,
): ReadableStream<Uint8Array> {
  const close = (): void => void begun.then((source) => source.close()).catch(() => undefined);
  return new ReadableStream<Uint8Array>(
    {
      start: (controller) => {
        signal?.addEventListener?.("abort", () => {
          controller.error(signal.reason);
          close();
        });
        return begun.then(() => undefined);
      },
      pull: async (controller) => {
        const chunk = await (await begun).next();
        if (signal?.aborted) return;
        if (chunk) controller.enqueue(chunk);
        else controller.close();
      },
      cancel: close,
    },
    { highWaterMark: 0 },
  );
}
