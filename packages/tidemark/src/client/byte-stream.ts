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
  let abort = (): void => undefined;
  let isCancelled = false;
  const forget = (): void => signal?.removeEventListener("abort", abort);
  return new ReadableStream<Uint8Array>(
    {
      start: async (controller) => {
        await begun; // which refuses what is no signal
        if (signal?.aborted === true) {
          close();
          throw signal.reason;
        }
        abort = () => {
          controller.error(signal!.reason);
          close();
        };
        if (!isCancelled) signal?.addEventListener("abort", abort, { once: true });
      },
      pull: async (controller) => {
        const chunk = await (await begun).next();
        if (signal?.aborted === true) return;
        if (chunk) return controller.enqueue(chunk);
        forget();
        controller.close();
      },
      cancel: () => {
        isCancelled = true; // perhaps before it has begun
        forget();
        close();
      },
    },
    { highWaterMark: 0 },
  );
}
