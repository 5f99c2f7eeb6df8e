/* Connects the parts of the page. */

import { fetchSample, setUpFileInput } from "./file_input.js";
import { plural, formats, overall, progress, share } from "./format.js";
import { ImageList } from "./images.js";
import { Panel } from "./panel.js";
import { RequestError, ServerUnreachable, archive, fetchJob, limits, models, result } from "./server.js";
import { Strip } from "./strip.js";
import { Viewer } from "./viewer.js";

/** @typedef {import("./images.js").Entry} Entry */

const byId = (id) => document.getElementById(id);

const images = new ImageList();
const panel = new Panel();
const viewer = new Viewer(byId("stage"));
const strip = new Strip(byId("strip").querySelector("ul"), select, remove);

/** @type {Entry|null} */
let selected = null;
let page = 0;
let suffixes = [];
let savingOne = false;
let savingAll = false;

/** @param {string} sentence for screen readers */
function announce(sentence) {
  byId("status").textContent = sentence;
}

/** @param {Entry|null} entry */
function select(entry) {
  if (entry !== selected) page = 0;
  selected = entry;
  images.selected = entry;
  strip.select(entry);
  render();
}

/** @param {Entry} entry */
function remove(entry) {
  const index = images.list.indexOf(entry);
  images.remove([entry]);
  const next = images.list[Math.min(index, images.list.length - 1)] ?? null;
  if (entry === selected) select(next);
  // The button that had the focus has been removed.
  if (next) strip.focus(next);
  else byId("choose-first").focus();
}

byId("remove-all").addEventListener("click", () => {
  const question = `Remove all ${images.list.length} images from this page? Your own files are kept.`;
  if (!window.confirm(question)) return;
  images.remove(images.list);
  select(null);
  byId("choose-first").focus();
});

/** @param {File[]} files @param {number} skipped */
function add(files, skipped) {
  if (skipped) warn(`Skipped ${plural(skipped, "file")} in the folder: not a supported image format.`);
  if (!files.length) return;
  const [first] = images.add(files);
  select(first);
}

let warning = "";
/** Shows a sentence at the top of the page until the next one. @param {string} sentence */
function warn(sentence) {
  warning = sentence;
  renderBanner();
}

function renderBanner() {
  const { problem, reason } = images;
  byId("banner").dataset.problem = problem;
  byId("banner").textContent =
    problem === "offline"
      ? "The server does not answer. Is autodenoise serve still running? The page reconnects automatically."
      : problem === "busy"
        ? `Waiting for the server: ${reason.replace(/\.$/, "")}. The page retries automatically.`
        : warning;
}

/** Updates everything that depends on the selected image. */
function render() {
  const { list } = images;
  document.body.classList.toggle("empty", !list.length);
  const summary = list.length > 1 ? overall(list) : "";
  byId("overall").textContent = summary;
  document.title = summary ? `${summary} · autodenoise` : "autodenoise";
  const finished = list.filter(({ state }) => state === "done");
  byId("download-all").hidden = list.length < 2;
  byId("remove-all").hidden = list.length < 2;
  byId("download-all").disabled = savingAll || !finished.length;
  byId("download-all").textContent = savingAll ? "Preparing…" : "Download all (zip)";
  viewer.show(selected, page);
  if (!selected) return;
  panel.show(selected, list);
  panel.setDownload(selected.state === "done", savingOne);
  renderState(selected);
  const count = selected.job?.image.pages ?? 1;
  byId("pages").hidden = count < 2;
  byId("page").max = String(count);
  byId("page").value = String(page + 1);
  byId("page-of").textContent = `of ${count}`;
  byId("page-back").disabled = page === 0;
  byId("page-on").disabled = page + 1 >= count;
  byId("viewer").setAttribute("aria-label", `${selected.name}, ${selected.state}`);
}

/** @param {Entry} entry */
function renderState(entry) {
  const { state } = entry;
  const ended = state === "failed" || state === "cancelled";
  const hadFocus = byId("progress").contains(document.activeElement);
  byId("progress").hidden = ended || state === "done";
  byId("ended").hidden = !ended;
  byId("views").disabled = state !== "done";
  byId("loading").hidden = (!viewer.loading && !viewer.problem) || ended;
  byId("loading").textContent = viewer.problem || "Preparing preview…";
  if (ended) {
    byId("ended-title").textContent = state === "failed" ? "Denoising failed" : "Cancelled";
    byId("ended-text").textContent = state === "failed" ? entry.error : "The image was not denoised.";
    byId("set-range").hidden = !/\bblack\b.*\bwhite\b|--range/i.test(entry.error);
    byId("retry").classList.toggle("primary", byId("set-range").hidden);
  } else if (state !== "done") {
    byId("progress-text").textContent = progress(entry);
    if (state === "working") byId("bar").value = share(entry);
    else byId("bar").removeAttribute("value");
  }
  // Do not lose the focus when the focused element is hidden.
  if (hadFocus && byId("progress").hidden) byId("viewer").focus();
}

images.addEventListener("list", () => {
  strip.list(images.list);
  render();
});
images.addEventListener("change", ({ detail: entry }) => {
  strip.update(entry);
  if (entry === selected && entry.state === "done") panel.setNotice("");
  if (entry.state === "done") announce(`${entry.name} is done.`);
  if (entry.state === "failed") announce(`${entry.name}: ${entry.error}`);
  render();
});
images.addEventListener("problem", renderBanner);

viewer.addEventListener("loading", render);
viewer.addEventListener("view", () => {
  const percent = 100 * viewer.view.scale;
  const label = `${percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`;
  byId("zoom").textContent = viewer.empty ? "–" : label;
  for (const button of byId("toolbar").querySelectorAll(".zoom button")) button.disabled = viewer.empty;
});
viewer.addEventListener("error", ({ detail: error }) => recover(error, selected ? [selected] : []));
viewer.addEventListener("difference", () => {
  if (!byId("views").disabled) setView(viewer.kind === "difference" ? "slider" : "difference");
});

/** Runs images again that the server has removed. @param {Error} error @param {Entry[]} among */
function recover(error, among) {
  if (error instanceof ServerUnreachable) images.waitForServer();
  if (error instanceof RequestError && error.status === 404) {
    images.rerun(among.filter(({ state }) => state === "done"));
  }
}

/** @param {string} kind */
function setView(kind) {
  for (const radio of document.getElementsByName("view")) radio.checked = radio.value === kind;
  byId("gains").hidden = kind !== "difference";
  viewer.kind = kind;
}
byId("views").addEventListener("change", ({ target }) => setView(target.value));
byId("gain").addEventListener("change", () => {
  viewer.gain = Number(byId("gain").value);
});
byId("zoom-in").addEventListener("click", () => viewer.zoom(viewer.view.scale * 1.25));
byId("zoom-out").addEventListener("click", () => viewer.zoom(viewer.view.scale / 1.25));
byId("zoom-fit").addEventListener("click", () => viewer.fit());
byId("zoom-full").addEventListener("click", () => viewer.zoom(1));

/** @param {number} next */
function turnToPage(next) {
  const count = selected?.job?.image.pages ?? 1;
  page = Math.min(Math.max(next || 0, 0), count - 1);
  render();
}
byId("page-back").addEventListener("click", () => turnToPage(page - 1));
byId("page-on").addEventListener("click", () => turnToPage(page + 1));
byId("page").addEventListener("change", () => turnToPage(byId("page").valueAsNumber - 1));

byId("cancel").addEventListener("click", () => {
  images.cancel(selected);
  byId("retry").focus();
});
byId("retry").addEventListener("click", () => {
  images.rerun([selected]);
  byId("cancel").focus();
});
byId("remove").addEventListener("click", () => remove(selected));
byId("set-range").addEventListener("click", () => panel.askForRange());

panel.addEventListener("strength", ({ detail: strength }) => {
  images.setStrength(selected, strength);
  panel.show(selected, images.list);
  viewer.redraw();
});
panel.addEventListener("strength-all", () => {
  for (const entry of images.list) entry.strength = selected.strength;
  panel.show(selected, images.list);
  byId("strength").focus();
});
panel.addEventListener("model", ({ detail: model }) => {
  images.model = model;
  // Cancelled images stay cancelled, except for the selected one.
  images.rerun(images.list.filter((entry) => entry === selected || entry.state !== "cancelled"));
});
panel.addEventListener("range", ({ detail: { black, white, all } }) => {
  const chosen = all ? [...images.list] : [selected];
  for (const entry of chosen) Object.assign(entry, { black, white });
  images.rerun(chosen);
});

/** @param {{blob: Blob, name: string}} file */
function save({ blob, name }) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // Some browsers read the URL only after the click event.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  announce(`${name} was saved.`);
}

panel.addEventListener("download", async () => {
  const entry = selected;
  savingOne = true;
  panel.setNotice("");
  render();
  try {
    const { format, stripMetadata } = panel.saving;
    const offered = entry.job.formats.includes(format) ? format : null;
    save(await result(entry.job.id, { strength: entry.strength, format: offered, stripMetadata }));
  } catch (error) {
    const removed = error instanceof RequestError && error.status === 404;
    const again = "The server has removed this image. It is being denoised again; then download it.";
    panel.setNotice(removed ? again : error.message);
    recover(error, [entry]);
  }
  savingOne = false;
  render();
  // A disabled button loses the focus.
  if (document.activeElement === document.body) byId("download").focus();
});

byId("download-all").addEventListener("click", async () => {
  const finished = images.list.filter(({ state }) => state === "done");
  savingAll = true;
  warn("");
  render();
  try {
    save(await archive(finished.map(({ job: { id }, strength }) => ({ id, strength })), panel.saving));
    const missing = images.list.length - finished.length;
    if (missing) warn(`The zip file contains ${plural(finished.length, "image")}. Not done yet: ${missing}.`);
  } catch (error) {
    warn(error.message);
    if (error instanceof RequestError && error.status === 404) {
      const known = await Promise.allSettled(finished.map((entry) => fetchJob(entry.job.id)));
      const removed = finished.filter((_, index) => known[index].status === "rejected");
      warn(`The server has removed ${plural(removed.length, "image")}. Denoising again; download all when done.`);
      recover(error, removed);
    } else {
      recover(error, []);
    }
  }
  savingAll = false;
  render();
  if (document.activeElement === document.body) byId("download-all").focus();
});

for (const id of ["add", "choose-first"]) byId(id).addEventListener("click", () => byId("choose").click());
byId("sample").addEventListener("click", async () => {
  try {
    add([await fetchSample()], 0);
  } catch {
    images.waitForServer();
  }
});
setUpFileInput({ add, suffixes: () => suffixes, chooser: byId("choose") });
window.addEventListener("pagehide", () => images.removeAllJobs());

async function begin() {
  try {
    const [server, available] = await Promise.all([limits(), models()]);
    suffixes = server.suffixes;
    images.uploadBytes = server.upload_bytes;
    images.model = panel.setModels(available);
    byId("choose").accept = ["image/*", ...suffixes].join();
    byId("version").textContent = `autodenoise ${server.version}`;
    byId("supported-formats").textContent = `Supported formats: ${formats(suffixes)}.`;
    images.rerun([]);
  } catch (error) {
    if (!(error instanceof ServerUnreachable)) return warn(error.message);
    await images.waitForServer();
    await begin();
  }
  return undefined;
}

// The server may run on another machine.
const { hostname } = window.location;
if (!/^(localhost|127\..*|\[::1\])$/.test(hostname)) {
  byId("privacy").textContent = `Your images are sent to ${hostname} only.`;
}
render();
begin();
