/* Puts the parts of the page together. */

import { incoming, sample } from "./incoming.js";
import { Panel } from "./panel.js";
import { Pictures } from "./pictures.js";
import { Refusal, Unreachable, archive, job, limits, models, result } from "./server.js";
import { Strip } from "./strip.js";
import { Viewer } from "./viewer.js";
import { counted, formats, overall, progress, share } from "./words.js";

/** @typedef {import("./pictures.js").Picture} Picture */

const by = (id) => document.getElementById(id);

const pictures = new Pictures();
const panel = new Panel();
const viewer = new Viewer(by("stage"));
const strip = new Strip(by("strip").querySelector("ul"), pick, remove);

/** @type {Picture|null} */
let picked = null;
let page = 0;
let endings = [];
let savingOne = false;
let savingAll = false;

/** @param {string} sentence for those who do not see the page */
function announce(sentence) {
  by("status").textContent = sentence;
}

/** @param {Picture|null} picture */
function pick(picture) {
  if (picture !== picked) page = 0;
  picked = picture;
  pictures.wanted = picture;
  strip.pick(picture);
  render();
}

/** @param {Picture} picture */
function remove(picture) {
  const place = pictures.list.indexOf(picture);
  pictures.remove([picture]);
  const next = pictures.list[Math.min(place, pictures.list.length - 1)] ?? null;
  if (picture === picked) pick(next);
  // The button that had the focus is gone.
  if (next) strip.focus(next);
  else by("choose-first").focus();
}

by("remove-all").addEventListener("click", () => {
  const question = `Remove all ${pictures.list.length} pictures from this page? Your own files stay.`;
  if (!window.confirm(question)) return;
  pictures.remove(pictures.list);
  pick(null);
  by("choose-first").focus();
});

/** @param {File[]} files @param {number} left */
function add(files, left) {
  const looks = left === 1 ? "does not look like a picture" : "do not look like pictures";
  if (left) warn(`${counted(left, "file")} of the folder ${looks}.`);
  if (!files.length) return;
  const [first] = pictures.add(files);
  pick(first);
}

let warning = "";
/** A sentence at the top of the page until the next. @param {string} sentence */
function warn(sentence) {
  warning = sentence;
  renderBanner();
}

function renderBanner() {
  const { trouble, reason } = pictures;
  by("banner").dataset.trouble = trouble;
  by("banner").textContent =
    trouble === "gone"
      ? "autodenoise serve does not answer. Is it still running? The page goes on when it does."
      : trouble === "busy"
        ? `Not yet: ${reason.replace(/\.$/, "")}. The page tries again by itself.`
        : warning;
}

/** All that depends on the picture in hand. */
function render() {
  const { list } = pictures;
  document.body.classList.toggle("empty", !list.length);
  const said = list.length > 1 ? overall(list) : "";
  by("overall").textContent = said;
  document.title = said ? `${said} · autodenoise` : "autodenoise";
  const finished = list.filter(({ state }) => state === "done");
  by("download-all").hidden = list.length < 2;
  by("remove-all").hidden = list.length < 2;
  by("download-all").disabled = savingAll || !finished.length;
  by("download-all").textContent = savingAll ? "Preparing…" : "Download all (zip)";
  viewer.show(picked, page);
  if (!picked) return;
  panel.show(picked, list);
  panel.setDownload(picked.state === "done", savingOne);
  renderState(picked);
  const count = picked.job?.picture.pages ?? 1;
  by("pages").hidden = count < 2;
  by("page").max = String(count);
  by("page").value = String(page + 1);
  by("page-of").textContent = `of ${count}`;
  by("page-back").disabled = page === 0;
  by("page-on").disabled = page + 1 >= count;
  by("viewer").setAttribute("aria-label", `${picked.name}, ${picked.state}`);
}

/** @param {Picture} picture */
function renderState(picture) {
  const { state } = picture;
  const ended = state === "failed" || state === "cancelled";
  const watched = by("progress").contains(document.activeElement);
  by("progress").hidden = ended || state === "done";
  by("ended").hidden = !ended;
  by("views").disabled = state !== "done";
  by("loading").hidden = (!viewer.loading && !viewer.problem) || ended;
  by("loading").textContent = viewer.problem || "Making a preview";
  if (ended) {
    by("ended-title").textContent = state === "failed" ? "That did not work" : "Cancelled";
    by("ended-text").textContent = state === "failed" ? picture.error : "The picture was not denoised.";
    by("say-range").hidden = !/\bblack\b.*\bwhite\b/i.test(picture.error);
    by("again").classList.toggle("primary", by("say-range").hidden);
  } else if (state !== "done") {
    by("progress-text").textContent = progress(picture);
    if (state === "working") by("bar").value = share(picture);
    else by("bar").removeAttribute("value");
  }
  // What has the focus does not go away under it.
  if (watched && by("progress").hidden) by("viewer").focus();
}

pictures.addEventListener("list", () => {
  strip.list(pictures.list);
  render();
});
pictures.addEventListener("picture", ({ detail: picture }) => {
  strip.update(picture);
  if (picture === picked && picture.state === "done") panel.say("");
  if (picture.state === "done") announce(`${picture.name} is done.`);
  if (picture.state === "failed") announce(`${picture.name}: ${picture.error}`);
  render();
});
pictures.addEventListener("trouble", renderBanner);

viewer.addEventListener("loading", render);
viewer.addEventListener("view", () => {
  const percent = 100 * viewer.view.scale;
  const shown = `${percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`;
  by("zoom").textContent = viewer.empty ? "–" : shown;
  for (const button of by("toolbar").querySelectorAll(".zoom button")) button.disabled = viewer.empty;
});
viewer.addEventListener("missing", ({ detail: error }) => lost(error, picked ? [picked] : []));
viewer.addEventListener("difference", () => {
  if (!by("views").disabled) setView(viewer.kind === "difference" ? "slider" : "difference");
});

/** What the server no longer has it is given once more. @param {Error} error @param {Picture[]} among */
function lost(error, among) {
  if (error instanceof Unreachable) pictures.missServer();
  if (error instanceof Refusal && error.status === 404) {
    pictures.again(among.filter(({ state }) => state === "done"));
  }
}

/** @param {string} kind */
function setView(kind) {
  for (const radio of document.getElementsByName("view")) radio.checked = radio.value === kind;
  by("gains").hidden = kind !== "difference";
  viewer.kind = kind;
}
by("views").addEventListener("change", ({ target }) => setView(target.value));
by("gain").addEventListener("change", () => {
  viewer.gain = Number(by("gain").value);
});
by("zoom-in").addEventListener("click", () => viewer.zoom(viewer.view.scale * 1.25));
by("zoom-out").addEventListener("click", () => viewer.zoom(viewer.view.scale / 1.25));
by("zoom-fit").addEventListener("click", () => viewer.fit());
by("zoom-full").addEventListener("click", () => viewer.zoom(1));

/** @param {number} next */
function turn(next) {
  const count = picked?.job?.picture.pages ?? 1;
  page = Math.min(Math.max(next || 0, 0), count - 1);
  render();
}
by("page-back").addEventListener("click", () => turn(page - 1));
by("page-on").addEventListener("click", () => turn(page + 1));
by("page").addEventListener("change", () => turn(by("page").valueAsNumber - 1));

by("cancel").addEventListener("click", () => {
  pictures.cancel(picked);
  by("again").focus();
});
by("again").addEventListener("click", () => {
  pictures.again([picked]);
  by("cancel").focus();
});
by("drop-it").addEventListener("click", () => remove(picked));
by("say-range").addEventListener("click", () => panel.askForRange());

panel.addEventListener("strength", ({ detail: strength }) => {
  pictures.setStrength(picked, strength);
  panel.show(picked, pictures.list);
  viewer.redraw();
});
panel.addEventListener("strength-all", () => {
  for (const picture of pictures.list) picture.strength = picked.strength;
  panel.show(picked, pictures.list);
  by("strength").focus();
});
panel.addEventListener("model", ({ detail: model }) => {
  pictures.model = model;
  // What was called off stays so, but for the one that is looked at.
  pictures.again(pictures.list.filter((picture) => picture === picked || picture.state !== "cancelled"));
});
panel.addEventListener("range", ({ detail: { black, white, all } }) => {
  const chosen = all ? [...pictures.list] : [picked];
  for (const picture of chosen) Object.assign(picture, { black, white });
  pictures.again(chosen);
});

/** @param {{blob: Blob, name: string}} file */
function save({ blob, name }) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // Some browsers read it only after the click is over.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  announce(`${name} is saved.`);
}

panel.addEventListener("download", async () => {
  const picture = picked;
  savingOne = true;
  panel.say("");
  render();
  try {
    const { format, stripMetadata } = panel.saving;
    const offered = picture.job.formats.includes(format) ? format : null;
    save(await result(picture.job.id, { strength: picture.strength, format: offered, stripMetadata }));
  } catch (error) {
    const forgotten = error instanceof Refusal && error.status === 404;
    const again = "The server no longer had this picture. It is run again; then download it.";
    panel.say(forgotten ? again : error.message);
    lost(error, [picture]);
  }
  savingOne = false;
  render();
  // A button that is switched off loses the focus.
  if (document.activeElement === document.body) by("download").focus();
});

by("download-all").addEventListener("click", async () => {
  const finished = pictures.list.filter(({ state }) => state === "done");
  savingAll = true;
  warn("");
  render();
  try {
    save(await archive(finished.map(({ job: { id }, strength }) => ({ id, strength })), panel.saving));
    const missing = pictures.list.length - finished.length;
    const held = counted(finished.length, "picture");
    if (missing) warn(`The zip file holds the ${held} that ${finished.length === 1 ? "is" : "are"} done, and no other yet.`);
  } catch (error) {
    warn(error.message);
    if (error instanceof Refusal && error.status === 404) {
      const known = await Promise.allSettled(finished.map((picture) => job(picture.job.id)));
      const gone = finished.filter((_, place) => known[place].status === "rejected");
      const them = gone.length === 1 ? "It is" : "They are";
      warn(`The server no longer had ${counted(gone.length, "picture")}. ${them} run again; then download all.`);
      lost(error, gone);
    } else {
      lost(error, []);
    }
  }
  savingAll = false;
  render();
  if (document.activeElement === document.body) by("download-all").focus();
});

for (const id of ["add", "choose-first"]) by(id).addEventListener("click", () => by("choose").click());
by("sample").addEventListener("click", async () => {
  try {
    add([await sample()], 0);
  } catch {
    pictures.missServer();
  }
});
incoming({ add, endings: () => endings, chooser: by("choose") });
window.addEventListener("pagehide", () => pictures.forgetAll());

async function begin() {
  try {
    const [most, all] = await Promise.all([limits(), models()]);
    endings = most.endings;
    pictures.uploadBytes = most.upload_bytes;
    pictures.model = panel.setModels(all);
    by("choose").accept = ["image/*", ...endings].join();
    by("version").textContent = `autodenoise ${most.version}`;
    by("endings").textContent = `It takes ${formats(endings)}.`;
    pictures.again([]);
  } catch (error) {
    if (!(error instanceof Unreachable)) return warn(error.message);
    await pictures.missServer();
    await begin();
  }
  return undefined;
}

// Said only where it is true: the server may be another machine's.
const { hostname } = window.location;
if (!/^(localhost|127\..*|\[::1\])$/.test(hostname)) {
  by("where").textContent = `Pictures go to ${hostname} and nowhere else.`;
}
render();
begin();
