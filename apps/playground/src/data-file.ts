/** Fetches a data file that ships with this page. */
export async function loadDataFile(file: string): Promise<Response> {
  const response = await fetch(`${import.meta.env.BASE_URL}data/${file}`);
  // Servers of single-page apps answer with the page where a file is missing.
  const isPage = response.headers.get("Content-Type")?.startsWith("text/html");
  if (!response.ok || isPage) throw new Error(`data/${file} could not be loaded (HTTP ${response.status}).`);
  return response;
}
