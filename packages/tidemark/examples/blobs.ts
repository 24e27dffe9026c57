import { collection, isTidemarkError, openDatabase } from "tidemark";

type Clip = { id: string; title: string; taken: Date; sizeBytes: number; poster: Blob };
type Original = { id: string; file: File };
const db = await openDatabase({
  name: "camera",
  collections: {
    clips: collection<Clip>()({ key: "id", indexes: { taken: "taken" } }), // what lists show
    originals: collection<Original>()({ key: "id" }), // the files, read one at a time
  },
});

// What <input type="file">, a drop or a fetch gives: stored as it is, with its name, type and time.
async function save(id: string, file: File, poster: Blob): Promise<"saved" | "no room" | "choose it again"> {
  try {
    await db.transaction(async (tx) => {
      await tx.collection("originals").put({ id, file });
      await tx
        .collection("clips")
        .put({ id, title: file.name, taken: new Date(file.lastModified), sizeBytes: file.size, poster });
    });
    return "saved";
  } catch (e) {
    if (isTidemarkError(e, "QUOTA_EXCEEDED")) return "no room";
    // The file was changed, moved or deleted since it was chosen.
    if (isTidemarkError(e, "VALUE_UNSUPPORTED") && e.details["why"] === "unreadable") return "choose it again";
    throw e;
  }
}
const recording = new File([new Uint8Array(5_000_000)], "holiday.mp4", { type: "video/mp4", lastModified: 0 });
console.log(await save("c1", recording, new Blob(["<svg/>"], { type: "image/svg+xml" }))); // "saved"

// A list reads what it shows, and no film.
for (const { title, sizeBytes } of await db.collection("clips").where("taken").reverse().limit(20).toArray()) {
  console.log(title, sizeBytes); // holiday.mp4 5000000
}

// A film to play: the browser reads from the blob what it needs, when it needs it.
const { file } = (await db.collection("originals").get("c1"))!;
const url = URL.createObjectURL(file); // video.src = url
console.log(file.name, file.type, (await fetch(url)).ok); // holiday.mp4 video/mp4 true
URL.revokeObjectURL(url); // or the blob is kept for as long as the page lives

// A part of it, and all of it in a request: neither puts the file into memory.
console.log((await file.slice(0, 12).arrayBuffer()).byteLength); // 12
const request = new Request("/upload", { method: "POST", body: file });
console.log(request.method);

// Deleted like any record. The blob that was read stays readable; its bytes in the database are garbage now.
await db.transaction(async (tx) => {
  await tx.collection("clips").delete("c1");
  await tx.collection("originals").delete("c1");
});
await db.gc.run(); // or by and by, in idle moments
console.log((await db.storage.metrics()).blobBytes, file.size); // 0 5000000
await db.close();
