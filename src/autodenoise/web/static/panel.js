/* The settings beside the stage: they show the picture in hand and say what is changed. */

import { facts } from "./words.js";

/** @typedef {import("./pictures.js").Picture} Picture */

const by = (id) => document.getElementById(id);

/** @param {string} text */
const number = (text) => (text.trim() === "" ? null : Number(text));

/**
 * Sends "strength" with the share, "strength-all", "model" with its name, "range" with
 * {black, white, all}, "download".
 */
export class Panel extends EventTarget {
  /** @type {{name: string, default: boolean, about: [string, string][]}[]} */
  #models = [];
  #format = "";
  /** @type {Picture|null} */
  #picture = null;
  #formats = null;

  constructor() {
    super();
    const tell = (name, detail) => this.dispatchEvent(new CustomEvent(name, { detail }));
    by("strength").addEventListener("input", () => tell("strength", by("strength").valueAsNumber / 100));
    by("strength-all").addEventListener("click", () => tell("strength-all"));
    by("model").addEventListener("change", () => {
      this.#showCard();
      tell("model", by("model").value);
    });
    by("format").addEventListener("change", () => {
      this.#format = by("format").value;
    });
    by("download").addEventListener("click", () => tell("download"));
    by("range").addEventListener("submit", (event) => {
      event.preventDefault();
      const [black, white] = [number(by("black").value), number(by("white").value)];
      const wrong = (black === null) !== (white === null) || (black !== null && black >= white);
      by("range-wrong").hidden = !wrong;
      by("range-wrong").textContent = "Give both, and white above black; or neither.";
      if (!wrong) tell("range", { black, white, all: event.submitter === by("range-all") });
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

  /** @param {Picture} picture @param {Picture[]} all */
  show(picture, all) {
    const another = picture !== this.#picture;
    this.#picture = picture;
    const { job } = picture;
    by("name").textContent = picture.name;
    by("facts").textContent = job ? facts(job) : "";
    by("shown").hidden = !job?.shown;
    if (job?.shown) {
      const { black, white } = job.shown;
      const [low, high] = [black, white].map((value) => value.toLocaleString("en", { maximumSignificantDigits: 6 }));
      by("shown").textContent = `Shown brightened, with ${low} as black and ${high} as white. The file is not.`;
    }
    const percent = Math.round(100 * picture.strength);
    by("strength").value = String(percent);
    by("strength-value").textContent = `${percent} %`;
    by("strength").setAttribute("aria-valuetext", `${percent} %`);
    by("strength-all").hidden = all.every(({ strength }) => strength === picture.strength);
    by("model-hint").hidden = all.length < 2;
    by("range-all").hidden = all.length < 2;
    if (another) {
      by("black").value = picture.black ?? "";
      by("white").value = picture.white ?? "";
      by("range-wrong").hidden = true;
      this.say("");
    }
    this.#showFormats(job?.formats ?? []);
  }

  /** @param {string[]} formats */
  #showFormats(formats) {
    const now = formats.join();
    if (now !== this.#formats) {
      this.#formats = now;
      const [own, ...others] = formats;
      const options = [new Option(own ? `as it came (${own})` : "as it came", "")];
      options.push(...others.map((ending) => new Option(ending)));
      by("format").replaceChildren(...options);
    }
    // A picture that cannot be saved so keeps its own format.
    by("format").value = formats.indexOf(this.#format) > 0 ? this.#format : "";
  }

  /** @param {boolean} ready @param {boolean} preparing */
  setDownload(ready, preparing) {
    by("download").disabled = !ready || preparing;
    by("download").textContent = preparing ? "Preparing…" : "Download";
  }

  /** What went wrong with a download. @param {string} sentence */
  say(sentence) {
    by("notice").hidden = !sentence;
    by("notice").textContent = sentence;
  }

  askForRange() {
    by("options").open = true;
    by("black").focus();
  }
}
