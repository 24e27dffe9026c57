/** The first visit's import as it goes, and ever after one line that says how it went. */
import { html, render, type TemplateResult } from "lit";
import { formatCount, formatDuration } from "../format.ts";
import { failed } from "../placeholders.ts";
import { type Imported, importOnce, type ImportProgress } from "./import.ts";

/** Shows the import in `root`; calls `ready` when the data is there. */
export async function showImport(root: HTMLElement, ready: () => void): Promise<void> {
  const show = (content: TemplateResult): unknown => render(content, root);
  try {
    const imported = await importOnce((progress) => show(underWay(progress)));
    show(summary(imported));
    ready();
  } catch (e) {
    show(failed("The airports and flights could not be loaded.", e, () => void showImport(root, ready)));
  }
}

const said: Readonly<Record<ImportProgress["step"], string>> = {
  opening: "Opening the database",
  waiting: "Waiting for another tab that loads the data",
  loading: "Loading the data files",
  writing: "Writing",
};

function underWay(progress: ImportProgress): TemplateResult {
  if (progress.step !== "writing") {
    return html`<p class="import" role="status" data-test="import">
      <span>${said[progress.step]}…</span><progress aria-label=${said[progress.step]}></progress>
    </p>`;
  }
  const { done, total } = progress;
  return html`<p class="import" role="status" data-test="import">
    <span>${said.writing} ${formatCount(done)} of ${formatCount(total)} records</span
    ><progress aria-label="Records written" max=${total} .value=${done}></progress>
  </p>`;
}

function summary({ note, isNew }: Imported): TemplateResult {
  const perSecond = (note.records / note.importMs) * 1000;
  return html`<p class="import" role="status" data-test="import" data-done>
    <span
      >${isNew ? "Imported" : "Stored here already:"}
      <b data-test="import-records">${formatCount(note.records)}</b> records${isNew ? "" : ", imported"} in
      <b data-test="import-time">${formatDuration(note.importMs)}</b>,
      <b data-test="import-rate">${formatCount(Number(perSecond.toPrecision(3)))}</b> records a second with all their
      indexes.</span
    >
  </p>`;
}
