/* The viewer: a canvas that shows the image before and after, with a divider between. */

import { gestures } from "./gestures.js";
import { Painter } from "./painter.js";
import { RequestError } from "./server.js";
import { Tiles } from "./tiles.js";
import { View } from "./view.js";

const RETRY_SECONDS = 2;
/** The previous image stays visible for this time, in case the next one loads quickly. */
const LOADING_DELAY_MS = 250;

/** Minimum height of the divider for touch, in CSS pixels. */
const MIN_DIVIDER_HEIGHT = 48;

/** @typedef {import("./images.js").Entry} Entry */
/** @typedef {import("./tiles.js").Layer} Layer */

/**
 * Events: "view" when pan or zoom change, "loading", "error" with the error as detail, "difference".
 */
export class Viewer extends EventTarget {
  view = new View();
  loading = false;
  /** Why no preview can be shown. */
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
    (error) => this.dispatchEvent(new CustomEvent("error", { detail: error })),
  );
  #painter;
  /** @type {Entry|null} */
  #entry = null;
  /** Identifies what is shown or loading. */
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
    // The browser's zoom also changes the size in device pixels.
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

  /** @param {number} position from 0 to 1 across the visible part of the image */
  moveDivider(position) {
    this.#split = Math.min(Math.max(position, 0), 1);
    this.redraw();
  }

  fit() {
    this.view.fit();
    this.#viewChanged();
  }

  /** @param {number} scale device pixels per image pixel @param {number} [x] @param {number} [y] */
  zoom(scale, x, y) {
    this.view.zoom(scale, x, y);
    this.#viewChanged();
  }

  /** @param {number} dx @param {number} dy in device pixels */
  pan(dx, dy) {
    this.view.pan(dx, dy);
    this.#viewChanged();
  }

  #viewChanged() {
    this.redraw();
    this.dispatchEvent(new Event("view"));
  }

  /** @param {Entry|null} entry @param {number} page from 0 */
  show(entry, page) {
    this.#entry = entry;
    const visible = entry?.job && entry.state !== "cancelled";
    const done = entry?.state === "done";
    const key = visible ? `${entry.job.id} ${page} ${done}` : `none ${entry?.key}`;
    if (key !== this.#key) {
      this.#key = key;
      if (visible) this.#open(entry, page, done, key);
      else this.#clear(entry);
    }
    this.redraw();
  }

  /** Clears the view, unless it shows the given image. @param {Entry|null} entry */
  #clear(entry) {
    this.#setLoading(false);
    if (this.#layers?.owner === entry?.key) return;
    this.#layers = null;
    this.#viewChanged();
  }

  async #open(entry, page, done, key) {
    const { id } = entry.job;
    this.#opening = key;
    this.#setLoading(false);
    const delay = setTimeout(() => {
      if (key !== this.#key) return;
      this.#setLoading(true);
      if (this.#layers?.owner !== entry.key) this.#layers = null;
      this.redraw();
    }, LOADING_DELAY_MS);
    try {
      const before = await this.#tiles.open(id, "before", page);
      const after = done ? await this.#tiles.open(id, "after", page) : null;
      if (key !== this.#key) return;
      this.#layers = { owner: entry.key, before, after, opaque: [1, 3].includes(entry.job.image.bands) };
      this.view.show(before.levels[0].width, before.levels[0].height);
      this.#setLoading(false);
      this.#viewChanged();
    } catch (error) {
      if (key !== this.#key) return;
      const retry = !(error instanceof RequestError) || error.status === 503;
      if (retry) {
        setTimeout(() => key === this.#key && this.#open(entry, page, done, key), 1000 * RETRY_SECONDS);
      } else {
        this.#clear(null);
        // Images that the server has removed are run again.
        this.#setLoading(false, error.status === 404 ? "" : error.message);
      }
      this.dispatchEvent(new CustomEvent("error", { detail: error }));
    } finally {
      clearTimeout(delay);
      if (key === this.#opening) this.#opening = "";
      this.redraw();
    }
  }

  #setLoading(loading, problem = "") {
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
    // Setting the size cleared the canvas; waiting for the next frame would flicker.
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
    this.#updateOverlay(layers);
    if (!layers) {
      this.#canvas.getContext("2d").clearRect(0, 0, this.#canvas.width, this.#canvas.height);
      this.#canvas.setAttribute("aria-busy", String(this.#opening !== ""));
      return;
    }
    const { visible } = this.view;
    const split = Math.round(visible.left + visible.width * this.#split);
    const strength = this.#entry?.strength ?? 1;
    const complete = this.#painter.paint(this.view, layers, { kind: this.kind, strength, split, gain: this.#gain });
    this.#canvas.setAttribute("aria-busy", String(!complete || this.#opening !== ""));
  }

  /** Updates the divider and the labels above the canvas. */
  #updateOverlay(layers) {
    const comparable = Boolean(layers?.after);
    const kind = comparable ? this.kind : "before";
    const { visible } = this.view;
    const ratio = window.devicePixelRatio;
    const [before, after] = this.#stage.querySelectorAll(".tag");
    this.#divider.hidden = !comparable || kind !== "slider";
    this.#divider.style.setProperty("--from", `${visible.left / ratio}px`);
    this.#divider.style.setProperty("--across", `${visible.width / ratio}px`);
    const height = Math.max(visible.height / ratio, MIN_DIVIDER_HEIGHT);
    this.#divider.style.height = `${height}px`;
    this.#divider.style.top = `${(visible.top + visible.height / 2) / ratio - height / 2}px`;
    this.#divider.value = String(100 * this.#split);
    const left = Math.round(100 * this.#split);
    this.#divider.setAttribute("aria-valuetext", `left ${left} % before, right ${100 - left} % after`);
    const strength = Math.round(100 * (this.#entry?.strength ?? 1));
    before.hidden = !layers || !(kind === "before" || kind === "slider");
    after.hidden = !layers || kind === "before";
    const blended = strength === 100 ? "after" : `after, ${strength} %`;
    after.textContent = kind === "difference" ? `difference × ${this.#gain}` : blended;
    // Hide a label when its side is almost hidden.
    before.classList.toggle("hidden-side", kind === "slider" && this.#split < 0.1);
    after.classList.toggle("hidden-side", kind === "slider" && this.#split > 0.9);
    this.#stage.classList.toggle("pannable", Boolean(layers) && this.view.pannable);
  }
}
