/* Draws two layers of tiles onto a canvas, blended and compared. */

import { address } from "./tiles.js";

const CHECKER = 8;

/** @typedef {import("./tiles.js").Layer} Layer */
/** @typedef {import("./view.js").View} View */

/**
 * The tiles of a layer that a view sees, each with where it goes.
 *
 * @param {Layer} layer
 * @param {View} view
 */
function seen(layer, view) {
  const { visible, origin, picture, scale } = view;
  const number = view.level(layer.levels);
  const level = layer.levels[number];
  const across = (picture.width * scale) / level.width;
  const down = (picture.height * scale) / level.height;
  const first = (from, step) => Math.max(Math.floor(from / step / layer.tile), 0);
  const last = (to, step, length) => Math.min(Math.ceil(to / step / layer.tile), Math.ceil(length / layer.tile));
  const tiles = [];
  const rows = last(visible.bottom - origin.y, down, level.height);
  const columns = last(visible.right - origin.x, across, level.width);
  for (let row = first(visible.top - origin.y, down); row < rows; row++) {
    for (let column = first(visible.left - origin.x, across); column < columns; column++) {
      const x = column * layer.tile;
      const y = row * layer.tile;
      const box = {
        x,
        y,
        width: Math.min(layer.tile, level.width - x),
        height: Math.min(layer.tile, level.height - y),
      };
      // Whole pixels, so that neighbours meet without a seam.
      const left = Math.round(origin.x + x * across);
      const top = Math.round(origin.y + y * down);
      const right = Math.round(origin.x + (x + box.width) * across);
      const bottom = Math.round(origin.y + (y + box.height) * down);
      tiles.push({ number, row, column, box, left, top, width: right - left, height: bottom - top });
    }
  }
  return tiles;
}

/**
 * The tile itself, or what coarser tiles have of the same place.
 *
 * @param {import("./tiles.js").Tiles} tiles
 * @param {Layer} layer
 * @param {{number: number, box: {x: number, y: number, width: number, height: number}}} wanted
 */
function nearest(tiles, layer, { number, box }) {
  for (let other = number; other < layer.levels.length; other++) {
    const across = layer.levels[other].width / layer.levels[number].width;
    const down = layer.levels[other].height / layer.levels[number].height;
    const row = Math.floor((box.y * down) / layer.tile);
    const column = Math.floor((box.x * across) / layer.tile);
    const bitmap = tiles.get(address(layer, other, row, column));
    if (bitmap) {
      const x = box.x * across - column * layer.tile;
      const y = box.y * down - row * layer.tile;
      const width = Math.min(box.width * across, bitmap.width - x);
      const height = Math.min(box.height * down, bitmap.height - y);
      return { bitmap, x, y, width, height, coarser: other > number };
    }
  }
  return undefined;
}

export class Painter {
  #context;
  #blend = document.createElement("canvas").getContext("2d");
  #tiles;
  #checkers = null;
  #missing = new Set();
  #inUse = 0;

  /** @param {HTMLCanvasElement} canvas @param {import("./tiles.js").Tiles} tiles */
  constructor(canvas, tiles) {
    this.#context = canvas.getContext("2d");
    this.#tiles = tiles;
  }

  /**
   * Whether nothing is missing is the answer.
   *
   * @param {View} view
   * @param {{before: Layer, after: Layer|null, opaque: boolean}} layers
   * @param {{kind: string, strength: number, split: number, gain: number}} how
   */
  paint(view, layers, { kind, strength, split, gain }) {
    const { canvas } = this.#context;
    for (const context of [this.#context, this.#blend]) {
      // To set the size clears a canvas; to set it in vain takes time.
      if (context.canvas.width !== canvas.width) context.canvas.width = canvas.width;
      if (context.canvas.height !== canvas.height) context.canvas.height = canvas.height;
      context.globalCompositeOperation = "source-over";
      context.globalAlpha = 1;
      context.clearRect(0, 0, canvas.width, canvas.height);
    }
    this.#missing.clear();
    this.#inUse = 0;
    const { visible } = view;
    if (layers.after && kind !== "before") this.#mix(view, layers, strength);
    if (kind === "difference" && layers.after) {
      this.#subtract(view, layers, gain);
    } else {
      if (!layers.opaque) this.#checker(visible);
      const whole = kind === "before" || !layers.after;
      const at = whole ? visible.right : kind === "after" ? visible.left : split;
      this.#clipped(visible.left, at, visible, () => this.#draw(this.#context, view, layers.before));
      this.#clipped(at, visible.right, visible, () => this.#context.drawImage(this.#blend.canvas, 0, 0));
    }
    this.#tiles.want([...this.#missing], this.#inUse);
    return this.#missing.size === 0;
  }

  /** @param {CanvasRenderingContext2D} context @param {View} view @param {Layer} layer */
  #draw(context, view, layer) {
    // The last stand-in is the last to be dropped.
    this.#tiles.get(address(layer, layer.levels.length - 1, 0, 0));
    for (const tile of seen(layer, view)) {
      this.#inUse += 1;
      const path = address(layer, tile.number, tile.row, tile.column);
      const source = nearest(this.#tiles, layer, tile);
      if (source) {
        const { bitmap, x, y, width, height, coarser } = source;
        // Enlarged pixels are to be seen as such, but not those of a stand-in.
        context.imageSmoothingEnabled = view.scale < 1 || coarser;
        context.drawImage(bitmap, x, y, width, height, tile.left, tile.top, tile.width, tile.height);
      }
      if (!this.#tiles.get(path)) this.#missing.add(path);
    }
  }

  /** What the server writes at this strength: before × (1 - strength) + after × strength. */
  #mix(view, { before, after, opaque }, strength) {
    const context = this.#blend;
    // Over an opaque picture, drawing over is this sum, and rounds once; transparency needs the sum itself.
    context.globalAlpha = opaque ? 1 : 1 - strength;
    if (context.globalAlpha > 0) this.#draw(context, view, before);
    context.globalCompositeOperation = opaque ? "source-over" : "lighter";
    context.globalAlpha = strength;
    if (strength > 0) this.#draw(context, view, after);
    context.globalCompositeOperation = "source-over";
    context.globalAlpha = 1;
  }

  #subtract(view, { before }, gain) {
    const { left, top, width, height } = view.visible;
    this.#blend.globalCompositeOperation = "destination-over";
    this.#blend.fillStyle = "#000";
    this.#blend.fillRect(left, top, width, height);
    const context = this.#context;
    context.fillStyle = "#000";
    context.fillRect(left, top, width, height);
    this.#draw(context, view, before);
    context.globalCompositeOperation = "difference";
    context.drawImage(this.#blend.canvas, 0, 0);
    context.globalCompositeOperation = "lighter";
    for (let times = 1; times < gain; times *= 2) context.drawImage(context.canvas, 0, 0);
  }

  #clipped(left, right, { top, height }, draw) {
    if (right <= left) return;
    this.#context.save();
    this.#context.beginPath();
    this.#context.rect(left, top, right - left, height);
    this.#context.clip();
    draw();
    this.#context.restore();
  }

  #checker({ left, top, width, height }) {
    if (!this.#checkers) {
      const small = document.createElement("canvas");
      small.width = small.height = 2 * CHECKER;
      const context = small.getContext("2d");
      context.fillStyle = "#fff";
      context.fillRect(0, 0, 2 * CHECKER, 2 * CHECKER);
      context.fillStyle = "#d8d8d8";
      context.fillRect(0, 0, CHECKER, CHECKER);
      context.fillRect(CHECKER, CHECKER, CHECKER, CHECKER);
      this.#checkers = this.#context.createPattern(small, "repeat");
    }
    this.#context.fillStyle = this.#checkers;
    this.#context.fillRect(left, top, width, height);
  }
}
