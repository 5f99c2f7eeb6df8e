/* The settings panel of the selected image. */

import { facts } from "./format.js";

/** @typedef {import("./images.js").Entry} Entry */

const byId = (id) => document.getElementById(id);

/** @param {string} text */
const number = (text) => (text.trim() === "" ? null : Number(text));

/**
 * Events: "strength" with a number from 0 to 1, "strength-all", "model" with its name, "range" with
 * {black, white, all}, "download".
 */
export class Panel extends EventTarget {
  /** @type {{name: string, default: boolean, about: [string, string][]}[]} */
  #models = [];
  #format = "";
  /** @type {Entry|null} */
  #entry = null;
  #formats = null;

  constructor() {
    super();
    const emit = (name, detail) => this.dispatchEvent(new CustomEvent(name, { detail }));
    byId("strength").addEventListener("input", () => emit("strength", byId("strength").valueAsNumber / 100));
    byId("strength-all").addEventListener("click", () => emit("strength-all"));
    byId("model").addEventListener("change", () => {
      this.#showCard();
      emit("model", byId("model").value);
    });
    byId("format").addEventListener("change", () => {
      this.#format = byId("format").value;
    });
    byId("download").addEventListener("click", () => emit("download"));
    byId("range").addEventListener("submit", (event) => {
      event.preventDefault();
      const [black, white] = [number(byId("black").value), number(byId("white").value)];
      const invalid = (black === null) !== (white === null) || (black !== null && black >= white);
      byId("range-wrong").hidden = !invalid;
      byId("range-wrong").textContent = "Enter both values, with white above black, or leave both empty.";
      if (!invalid) emit("range", { black, white, all: event.submitter === byId("range-all") });
    });
  }

  /** @returns {{format: string|null, stripMetadata: boolean}} */
  get saving() {
    return { format: this.#format || null, stripMetadata: byId("strip-metadata").checked };
  }

  /** @param {{name: string, default: boolean, about: [string, string][]}[]} models */
  setModels(models) {
    this.#models = models;
    byId("model").replaceChildren(...models.map(({ name }) => new Option(name)));
    byId("model").value = models.find((model) => model.default)?.name ?? models[0]?.name ?? "";
    this.#showCard();
    return byId("model").value;
  }

  #showCard() {
    const model = this.#models.find(({ name }) => name === byId("model").value);
    const rows = (model?.about ?? []).flatMap(([label, value]) => {
      const [term, description] = ["dt", "dd"].map((tag) => document.createElement(tag));
      term.textContent = label;
      description.textContent = value;
      return [term, description];
    });
    byId("card").replaceChildren(...rows);
  }

  /** @param {Entry} entry @param {Entry[]} all */
  show(entry, all) {
    const changed = entry !== this.#entry;
    this.#entry = entry;
    const { job } = entry;
    byId("name").textContent = entry.name;
    byId("facts").textContent = job ? facts(job) : "";
    byId("brightened").hidden = !job?.display_range;
    if (job?.display_range) {
      const { black, white } = job.display_range;
      const [low, high] = [black, white].map((value) => value.toLocaleString("en", { maximumSignificantDigits: 6 }));
      byId("brightened").textContent = `The preview is brightened, with ${low} as black and ${high} as white. The file is not changed.`;
    }
    const percent = Math.round(100 * entry.strength);
    byId("strength").value = String(percent);
    byId("strength-value").textContent = `${percent} %`;
    byId("strength").setAttribute("aria-valuetext", `${percent} %`);
    byId("strength-all").hidden = all.every(({ strength }) => strength === entry.strength);
    byId("model-hint").hidden = all.length < 2;
    byId("range-all").hidden = all.length < 2;
    if (changed) {
      byId("black").value = entry.black ?? "";
      byId("white").value = entry.white ?? "";
      byId("range-wrong").hidden = true;
      this.setNotice("");
    }
    this.#showFormats(job?.formats ?? []);
  }

  /** @param {string[]} formats */
  #showFormats(formats) {
    const key = formats.join();
    if (key !== this.#formats) {
      this.#formats = key;
      const [own, ...others] = formats;
      const options = [new Option(own ? `same as original (${own})` : "same as original", "")];
      options.push(...others.map((suffix) => new Option(suffix)));
      byId("format").replaceChildren(...options);
    }
    // Images that cannot be saved in the chosen format keep their own.
    byId("format").value = formats.indexOf(this.#format) > 0 ? this.#format : "";
  }

  /** @param {boolean} ready @param {boolean} preparing */
  setDownload(ready, preparing) {
    byId("download").disabled = !ready || preparing;
    byId("download").textContent = preparing ? "Preparing…" : "Download";
  }

  /** Shows why a download failed. @param {string} sentence */
  setNotice(sentence) {
    byId("notice").hidden = !sentence;
    byId("notice").textContent = sentence;
  }

  askForRange() {
    byId("options").open = true;
    byId("black").focus();
  }
}
