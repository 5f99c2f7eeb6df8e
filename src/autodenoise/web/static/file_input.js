/* Adding image files: by drag and drop, paste, file dialog, or the sample. */

/** @param {FileSystemDirectoryEntry} folder @returns {Promise<FileSystemEntry[]>} */
async function readFolder(folder) {
  const reader = folder.createReader();
  const entries = [];
  for (;;) {
    // Browsers return about a hundred entries per call, and none at the end.
    const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!batch.length) return entries.sort((one, other) => one.name.localeCompare(other.name));
    entries.push(...batch);
  }
}

/**
 * @param {FileSystemEntry} entry
 * @param {(name: string) => boolean} accepts
 * @returns {Promise<{files: File[], skipped: number}>}
 */
async function collectFiles(entry, accepts) {
  if (entry.isFile) {
    if (!accepts(entry.name)) return { files: [], skipped: 1 };
    return { files: [await new Promise((resolve, reject) => entry.file(resolve, reject))], skipped: 0 };
  }
  const found = { files: [], skipped: 0 };
  for (const child of await readFolder(entry)) {
    const { files, skipped } = await collectFiles(child, accepts);
    found.files.push(...files);
    found.skipped += skipped;
  }
  return found;
}

/** @param {DataTransfer} transfer @param {string[]} suffixes */
async function droppedFiles(transfer, suffixes) {
  // The transfer is empty after the event, so everything is read from it first.
  const files = [...transfer.files];
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return { files, skipped: 0 };
  const collected = { files: [], skipped: 0 };
  for (const entry of entries) {
    // In a folder, only files with known suffixes; single files are always accepted.
    const accepts = (name) =>
      entry.isFile || (!name.startsWith(".") && suffixes.some((suffix) => name.toLowerCase().endsWith(suffix)));
    const found = await collectFiles(entry, accepts);
    collected.files.push(...found.files);
    collected.skipped += found.skipped;
  }
  return collected;
}

/**
 * @param {object} options
 * @param {(files: File[], skipped: number) => void} options.add with the number of other files in a folder
 * @param {() => string[]} options.suffixes
 * @param {HTMLInputElement} options.chooser
 */
export function setUpFileInput({ add, suffixes, chooser }) {
  const highlight = (on) => document.body.classList.toggle("dragging", on);
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragenter", (event) => {
    if (holdsFiles(event)) highlight(true);
  });
  document.addEventListener("dragover", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
  });
  document.addEventListener("dragleave", (event) => {
    // The event also fires between elements, with a related target.
    if (!event.relatedTarget) highlight(false);
  });
  document.addEventListener("drop", async (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    highlight(false);
    const { files, skipped } = await droppedFiles(event.dataTransfer, suffixes());
    add(files, skipped);
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    // Browsers call pasted image data image.png.
    const rename = (file) => (file.name === "image.png" ? new File([file], "pasted.png", { type: file.type }) : file);
    add(files.map(rename), 0);
  });
  chooser.addEventListener("change", () => {
    add([...chooser.files], 0);
    // Without this, choosing the same file again fires no event.
    chooser.value = "";
  });
}

/** @returns {Promise<File>} */
export async function fetchSample() {
  const response = await fetch("/static/sample.jpg");
  if (!response.ok) throw new Error("The sample image is missing on the server.");
  return new File([await response.blob()], "sample.jpg", { type: "image/jpeg" });
}
