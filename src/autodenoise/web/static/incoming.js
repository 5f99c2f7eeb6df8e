/* How pictures come: dropped, pasted, chosen, or the sample. */

/** @param {FileSystemDirectoryEntry} folder @returns {Promise<FileSystemEntry[]>} */
async function entriesOf(folder) {
  const reader = folder.createReader();
  const entries = [];
  for (;;) {
    // A reader gives a hundred or so at a time, and none when it is through.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return entries.sort((one, other) => one.name.localeCompare(other.name));
    entries.push(...some);
  }
}

/**
 * @param {FileSystemEntry} entry
 * @param {(name: string) => boolean} taken
 * @returns {Promise<{files: File[], left: number}>}
 */
async function filesOf(entry, taken) {
  if (entry.isFile) {
    if (!taken(entry.name)) return { files: [], left: 1 };
    return { files: [await new Promise((resolve, reject) => entry.file(resolve, reject))], left: 0 };
  }
  const found = { files: [], left: 0 };
  for (const inner of await entriesOf(entry)) {
    const { files, left } = await filesOf(inner, taken);
    found.files.push(...files);
    found.left += left;
  }
  return found;
}

/** @param {DataTransfer} transfer @param {string[]} endings */
async function dropped(transfer, endings) {
  // The transfer is empty once the event is over: everything is taken out first.
  const files = [...transfer.files];
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return { files, left: 0 };
  const all = { files: [], left: 0 };
  for (const entry of entries) {
    // Of a folder only what looks like a picture; a file by itself was meant.
    const taken = (name) =>
      entry.isFile || (!name.startsWith(".") && endings.some((ending) => name.toLowerCase().endsWith(ending)));
    const found = await filesOf(entry, taken);
    all.files.push(...found.files);
    all.left += found.left;
  }
  return all;
}

/**
 * @param {object} options
 * @param {(files: File[], left: number) => void} options.add `left` of a folder's files do not look like pictures
 * @param {() => string[]} options.endings
 * @param {HTMLInputElement} options.chooser
 */
export function incoming({ add, endings, chooser }) {
  const over = (shown) => document.body.classList.toggle("dragging", shown);
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragenter", (event) => {
    if (holdsFiles(event)) over(true);
  });
  document.addEventListener("dragover", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
  });
  document.addEventListener("dragleave", (event) => {
    // From one element to the next there is a leave as well, and it says to where.
    if (!event.relatedTarget) over(false);
  });
  document.addEventListener("drop", async (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    over(false);
    const { files, left } = await dropped(event.dataTransfer, endings());
    add(files, left);
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    // What was copied from inside a picture has a name that the browser made up.
    const named = (file) => (file.name === "image.png" ? new File([file], "pasted.png", { type: file.type }) : file);
    add(files.map(named), 0);
  });
  chooser.addEventListener("change", () => {
    add([...chooser.files], 0);
    // So that the same file can be chosen once more.
    chooser.value = "";
  });
}

/** @returns {Promise<File>} */
export async function sample() {
  const response = await fetch("/static/sample.jpg");
  if (!response.ok) throw new Error("There is no sample here.");
  return new File([await response.blob()], "sample.jpg", { type: "image/jpeg" });
}
