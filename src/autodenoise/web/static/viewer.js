/* The stage: a canvas with the picture before and after, and the divider between. */

import { gestures } from "./gestures.js";
import { Painter } from "./painter.js";
import { Refusal } from "./server.js";
import { Tiles } from "./tiles.js";
import { View } from "./view.js";

const SECONDS_BEFORE_ANOTHER_TRY = 2;
/** Another picture may be there at once; until then the last one is better than none. */
const MILLISECONDS_OF_THE_LAST = 250;

/** What a finger can take hold of, where a picture is but a line. */
const LEAST_DIVIDER = 48;

/** @typedef {import("./pictures.js").Picture} Picture */
/** @typedef {import("./tiles.js").Layer} Layer */

/**
 * Sends "view" when zoom or place change, "loading", and "missing" with the error as detail.
 */
export class Viewer extends EventTarget {
  view = new View();
  loading = false;
  /** Why there is nothing to see. */
  problem = "";
  #kind = "slider";
  #gain = 8;
  #peeking = false;
  #split = 0.5;
  #stage;
  #canvas;
  #divider;
  #tiles = new Tiles(
    () => this.redraw(),
    (error) => this.dispatchEvent(new CustomEvent("missing", { detail: error })),
  );
  #painter;
  /** @type {Picture|null} */
  #picture = null;
  /** What is or is about to be shown. */
  #key = "";
  /** @type {{owner: number, before: Layer, after: Layer|null, opaque: boolean}|null} */
  #layers = null;
  #drawing = 0;
  #opening = "";

  /** @param {HTMLElement} stage with a canvas, a range and two tags in it */
  constructor(stage) {
    super();
    this.#stage = stage;
    this.#canvas = stage.querySelector("canvas");
    this.#divider = stage.querySelector("input");
    this.#painter = new Painter(this.#canvas, this.#tiles);
    this.#divider.addEventListener("input", () => this.moveDivider(Number(this.#divider.value) / 100));
    gestures(stage, this.#canvas, this);
    new ResizeObserver(() => this.#resize()).observe(this.#canvas);
    // The size in pixels changes with the browser's zoom and not only with the element's.
    window.addEventListener("resize", () => this.#resize());
    this.#resize();
  }

  get kind() {
    return this.#peeking ? "before" : this.#kind;
  }

  set kind(kind) {
    this.#kind = kind;
    this.redraw();
  }

  set gain(gain) {
    this.#gain = gain;
    this.redraw();
  }

  set peeking(peeking) {
    this.#peeking = peeking;
    this.redraw();
  }

  get empty() {
    return !this.#layers;
  }

  get split() {
    return this.#split;
  }

  /** @param {number} share of what is seen of the picture, from 0 to 1 */
  moveDivider(share) {
    this.#split = Math.min(Math.max(share, 0), 1);
    this.redraw();
  }

  fit() {
    this.view.fit();
    this.#moved();
  }

  /** @param {number} scale in pixels of the screen @param {number} [x] @param {number} [y] */
  zoom(scale, x, y) {
    this.view.zoom(scale, x, y);
    this.#moved();
  }

  /** @param {number} dx @param {number} dy in pixels of the screen */
  pan(dx, dy) {
    this.view.pan(dx, dy);
    this.#moved();
  }

  #moved() {
    this.redraw();
    this.dispatchEvent(new Event("view"));
  }

  /** @param {Picture|null} picture @param {number} page from 0 */
  show(picture, page) {
    this.#picture = picture;
    const shown = picture?.job && picture.state !== "cancelled";
    const done = picture?.state === "done";
    const key = shown ? `${picture.job.id} ${page} ${done}` : `none ${picture?.key}`;
    if (key !== this.#key) {
      this.#key = key;
      if (shown) this.#open(picture, page, done, key);
      else this.#clear(picture);
    }
    this.redraw();
  }

  /** Unless it is the very picture that is to come. @param {Picture|null} picture */
  #clear(picture) {
    this.#load(false);
    if (this.#layers?.owner === picture?.key) return;
    this.#layers = null;
    this.#moved();
  }

  async #open(picture, page, done, key) {
    const { id } = picture.job;
    this.#opening = key;
    this.#load(false);
    const late = setTimeout(() => {
      if (key !== this.#key) return;
      this.#load(true);
      if (this.#layers?.owner !== picture.key) this.#layers = null;
      this.redraw();
    }, MILLISECONDS_OF_THE_LAST);
    try {
      const before = await this.#tiles.open(id, "before", page);
      const after = done ? await this.#tiles.open(id, "after", page) : null;
      if (key !== this.#key) return;
      this.#layers = { owner: picture.key, before, after, opaque: [1, 3].includes(picture.job.picture.bands) };
      this.view.show(before.levels[0].width, before.levels[0].height);
      this.#load(false);
      this.#moved();
    } catch (error) {
      if (key !== this.#key) return;
      const again = !(error instanceof Refusal) || error.status === 503;
      if (again) {
        setTimeout(() => key === this.#key && this.#open(picture, page, done, key), 1000 * SECONDS_BEFORE_ANOTHER_TRY);
      } else {
        this.#clear(null);
        // What the server has forgotten comes again by itself.
        this.#load(false, error.status === 404 ? "" : error.message);
      }
      this.dispatchEvent(new CustomEvent("missing", { detail: error }));
    } finally {
      clearTimeout(late);
      if (key === this.#opening) this.#opening = "";
      this.redraw();
    }
  }

  #load(loading, problem = "") {
    if (loading === this.loading && problem === this.problem) return;
    this.loading = loading;
    this.problem = problem;
    this.dispatchEvent(new Event("loading"));
  }

  #resize() {
    const ratio = window.devicePixelRatio;
    const width = Math.max(Math.round(this.#canvas.clientWidth * ratio), 1);
    const height = Math.max(Math.round(this.#canvas.clientHeight * ratio), 1);
    if (width === this.#canvas.width && height === this.#canvas.height) return;
    this.#canvas.width = width;
    this.#canvas.height = height;
    this.view.resize(width, height);
    // To set the size has cleared the canvas: to wait for the next frame would flicker.
    this.#paint();
    this.dispatchEvent(new Event("view"));
  }

  redraw() {
    this.#canvas.setAttribute("aria-busy", "true");
    this.#drawing ||= requestAnimationFrame(() => this.#paint());
  }

  #paint() {
    cancelAnimationFrame(this.#drawing);
    this.#drawing = 0;
    const layers = this.#layers;
    this.#decorate(layers);
    if (!layers) {
      this.#canvas.getContext("2d").clearRect(0, 0, this.#canvas.width, this.#canvas.height);
      this.#canvas.setAttribute("aria-busy", String(this.#opening !== ""));
      return;
    }
    const { visible } = this.view;
    const split = Math.round(visible.left + visible.width * this.#split);
    const strength = this.#picture?.strength ?? 1;
    const complete = this.#painter.paint(this.view, layers, { kind: this.kind, strength, split, gain: this.#gain });
    this.#canvas.setAttribute("aria-busy", String(!complete || this.#opening !== ""));
  }

  /** Divider and tags lie over the canvas and follow what is drawn. */
  #decorate(layers) {
    const compared = Boolean(layers?.after);
    const kind = compared ? this.kind : "before";
    const { visible } = this.view;
    const ratio = window.devicePixelRatio;
    const [before, after] = this.#stage.querySelectorAll(".tag");
    this.#divider.hidden = !compared || kind !== "slider";
    this.#divider.style.setProperty("--from", `${visible.left / ratio}px`);
    this.#divider.style.setProperty("--across", `${visible.width / ratio}px`);
    const height = Math.max(visible.height / ratio, LEAST_DIVIDER);
    this.#divider.style.height = `${height}px`;
    this.#divider.style.top = `${(visible.top + visible.height / 2) / ratio - height / 2}px`;
    this.#divider.value = String(100 * this.#split);
    const left = Math.round(100 * this.#split);
    this.#divider.setAttribute("aria-valuetext", `left ${left} % before, right ${100 - left} % after`);
    const strength = Math.round(100 * (this.#picture?.strength ?? 1));
    before.hidden = !layers || !(kind === "before" || kind === "slider");
    after.hidden = !layers || kind === "before";
    const blended = strength === 100 ? "after" : `after, ${strength} %`;
    after.textContent = kind === "difference" ? `difference × ${this.#gain}` : blended;
    // A tag goes when its side does.
    before.classList.toggle("gone", kind === "slider" && this.#split < 0.1);
    after.classList.toggle("gone", kind === "slider" && this.#split > 0.9);
    this.#stage.classList.toggle("pannable", Boolean(layers) && this.view.pannable);
  }
}
