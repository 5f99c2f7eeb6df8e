/* The settings panel of the selected image. */

import { facts } from "./format.js";

/** @typedef {import("./images.js").Entry} Entry */

const by = (id) => document.getElementById(id);

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
    by("strength").addEventListener("input", () => emit("strength", by("strength").valueAsNumber / 100));
    by("strength-all").addEventListener("click", () => emit("strength-all"));
    by("model").addEventListener("change", () => {
      this.#showCard();
      emit("model", by("model").value);
    });
    by("format").addEventListener("change", () => {
      this.#format = by("format").value;
    });
    by("download").addEventListener("click", () => emit("download"));
    by("range").addEventListener("submit", (event) => {
      event.preventDefault();
      const [black, white] = [number(by("black").value), number(by("white").value)];
      const invalid = (black === null) !== (white === null) || (black !== null && black >= white);
      by("range-wrong").hidden = !invalid;
      by("range-wrong").textContent = "Enter both values, with white above black, or leave both empty.";
      if (!invalid) emit("range", { black, white, all: event.submitter === by("range-all") });
    });
  }

  /** @returns {{format: string|null, stripMetadata: boolean}} */
  get saving() {
    return { format: this.#format || null, stripMetadata: by("strip-metadata").checked };
  }

  /** @param {{name: string, default: boolean, about: [string, string][]}[]} models */
  setModels(models) {
    this.#models = models;
    by("model").replaceChildren(...models.map(({ name }) => new Option(name)));
    by("model").value = models.find((model) => model.default)?.name ?? models[0]?.name ?? "";
    this.#showCard();
    return by("model").value;
  }

  #showCard() {
    const model = this.#models.find(({ name }) => name === by("model").value);
    const rows = (model?.about ?? []).flatMap(([label, value]) => {
      const [term, description] = ["dt", "dd"].map((tag) => document.createElement(tag));
      term.textContent = label;
      description.textContent = value;
      return [term, description];
    });
    by("card").replaceChildren(...rows);
  }

  /** @param {Entry} entry @param {Entry[]} all */
  show(entry, all) {
    const changed = entry !== this.#entry;
    this.#entry = entry;
    const { job } = entry;
    by("name").textContent = entry.name;
    by("facts").textContent = job ? facts(job) : "";
    by("brightened").hidden = !job?.display_range;
    if (job?.display_range) {
      const { black, white } = job.display_range;
      const [low, high] = [black, white].map((value) => value.toLocaleString("en", { maximumSignificantDigits: 6 }));
      by("brightened").textContent = `The preview is brightened, with ${low} as black and ${high} as white. The file is not changed.`;
    }
    const percent = Math.round(100 * entry.strength);
    by("strength").value = String(percent);
    by("strength-value").textContent = `${percent} %`;
    by("strength").setAttribute("aria-valuetext", `${percent} %`);
    by("strength-all").hidden = all.every(({ strength }) => strength === entry.strength);
    by("model-hint").hidden = all.length < 2;
    by("range-all").hidden = all.length < 2;
    if (changed) {
      by("black").value = entry.black ?? "";
      by("white").value = entry.white ?? "";
      by("range-wrong").hidden = true;
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
      options.push(...others.map((ending) => new Option(ending)));
      by("format").replaceChildren(...options);
    }
    // Images that cannot be saved in the chosen format keep their own.
    by("format").value = formats.indexOf(this.#format) > 0 ? this.#format : "";
  }

  /** @param {boolean} ready @param {boolean} preparing */
  setDownload(ready, preparing) {
    by("download").disabled = !ready || preparing;
    by("download").textContent = preparing ? "Preparing…" : "Download";
  }

  /** Shows why a download failed. @param {string} sentence */
  setNotice(sentence) {
    by("notice").hidden = !sentence;
    by("notice").textContent = sentence;
  }

  askForRange() {
    by("options").open = true;
    by("black").focus();
  }
}
