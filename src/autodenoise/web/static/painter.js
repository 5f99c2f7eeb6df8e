/* Draws two layers of tiles on a canvas, blended or compared. */

import { address } from "./tiles.js";

const CHECKER_SIZE = 8;

/** @typedef {import("./tiles.js").Layer} Layer */
/** @typedef {import("./view.js").View} View */

/**
 * The visible tiles of a layer, with their positions on the canvas.
 *
 * @param {Layer} layer
 * @param {View} view
 */
function visibleTiles(layer, view) {
  const { visible, origin, image, scale } = view;
  const number = view.level(layer.levels);
  const level = layer.levels[number];
  const scaleX = (image.width * scale) / level.width;
  const scaleY = (image.height * scale) / level.height;
  const first = (from, step) => Math.max(Math.floor(from / step / layer.tile), 0);
  const last = (to, step, length) => Math.min(Math.ceil(to / step / layer.tile), Math.ceil(length / layer.tile));
  const tiles = [];
  const rows = last(visible.bottom - origin.y, scaleY, level.height);
  const columns = last(visible.right - origin.x, scaleX, level.width);
  for (let row = first(visible.top - origin.y, scaleY); row < rows; row++) {
    for (let column = first(visible.left - origin.x, scaleX); column < columns; column++) {
      const x = column * layer.tile;
      const y = row * layer.tile;
      const box = {
        x,
        y,
        width: Math.min(layer.tile, level.width - x),
        height: Math.min(layer.tile, level.height - y),
      };
      // Whole pixels, so that there are no seams between tiles.
      const left = Math.round(origin.x + x * scaleX);
      const top = Math.round(origin.y + y * scaleY);
      const right = Math.round(origin.x + (x + box.width) * scaleX);
      const bottom = Math.round(origin.y + (y + box.height) * scaleY);
      tiles.push({ number, row, column, box, left, top, width: right - left, height: bottom - top });
    }
  }
  return tiles;
}

/**
 * The tile, or the same region of a coarser one that is loaded.
 *
 * @param {import("./tiles.js").Tiles} tiles
 * @param {Layer} layer
 * @param {{number: number, box: {x: number, y: number, width: number, height: number}}} target
 */
function nearest(tiles, layer, { number, box }) {
  for (let other = number; other < layer.levels.length; other++) {
    const scaleX = layer.levels[other].width / layer.levels[number].width;
    const scaleY = layer.levels[other].height / layer.levels[number].height;
    const row = Math.floor((box.y * scaleY) / layer.tile);
    const column = Math.floor((box.x * scaleX) / layer.tile);
    const bitmap = tiles.get(address(layer, other, row, column));
    if (bitmap) {
      const x = box.x * scaleX - column * layer.tile;
      const y = box.y * scaleY - row * layer.tile;
      const width = Math.min(box.width * scaleX, bitmap.width - x);
      const height = Math.min(box.height * scaleY, bitmap.height - y);
      return { bitmap, x, y, width, height, coarser: other > number };
    }
  }
  return undefined;
}

export class Painter {
  #context;
  #blend = document.createElement("canvas").getContext("2d");
  #tiles;
  #checkerPattern = null;
  #missing = new Set();
  #inUse = 0;

  /** @param {HTMLCanvasElement} canvas @param {import("./tiles.js").Tiles} tiles */
  constructor(canvas, tiles) {
    this.#context = canvas.getContext("2d");
    this.#tiles = tiles;
  }

  /**
   * Returns whether all tiles were available.
   *
   * @param {View} view
   * @param {{before: Layer, after: Layer|null, opaque: boolean}} layers
   * @param {{kind: string, strength: number, split: number, gain: number}} options
   */
  paint(view, layers, { kind, strength, split, gain }) {
    const { canvas } = this.#context;
    for (const context of [this.#context, this.#blend]) {
      // Setting the size is slow, even to the same value.
      if (context.canvas.width !== canvas.width) context.canvas.width = canvas.width;
      if (context.canvas.height !== canvas.height) context.canvas.height = canvas.height;
      context.globalCompositeOperation = "source-over";
      context.globalAlpha = 1;
      context.clearRect(0, 0, canvas.width, canvas.height);
    }
    this.#missing.clear();
    this.#inUse = 0;
    const { visible } = view;
    if (layers.after && kind !== "before") this.#blendLayers(view, layers, strength);
    if (kind === "difference" && layers.after) {
      this.#subtract(view, layers, gain);
    } else {
      if (!layers.opaque) this.#checker(visible);
      const whole = kind === "before" || !layers.after;
      const at = whole ? visible.right : kind === "after" ? visible.left : split;
      this.#clipped(visible.left, at, visible, () => this.#draw(this.#context, view, layers.before));
      this.#clipped(at, visible.right, visible, () => this.#context.drawImage(this.#blend.canvas, 0, 0));
    }
    this.#tiles.request([...this.#missing], this.#inUse);
    return this.#missing.size === 0;
  }

  /** @param {CanvasRenderingContext2D} context @param {View} view @param {Layer} layer */
  #draw(context, view, layer) {
    // Mark the coarsest tile as used, so that the placeholder stays in the cache.
    this.#tiles.get(address(layer, layer.levels.length - 1, 0, 0));
    for (const tile of visibleTiles(layer, view)) {
      this.#inUse += 1;
      const path = address(layer, tile.number, tile.row, tile.column);
      const source = nearest(this.#tiles, layer, tile);
      if (source) {
        const { bitmap, x, y, width, height, coarser } = source;
        // Show enlarged pixels sharply, but smooth placeholders.
        context.imageSmoothingEnabled = view.scale < 1 || coarser;
        context.drawImage(bitmap, x, y, width, height, tile.left, tile.top, tile.width, tile.height);
      }
      if (!this.#tiles.get(path)) this.#missing.add(path);
    }
  }

  /** Blends as the server does: before × (1 - strength) + after × strength. */
  #blendLayers(view, { before, after, opaque }, strength) {
    const context = this.#blend;
    // For opaque images, alpha compositing is this sum, rounded once; transparent ones need addition.
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
    if (!this.#checkerPattern) {
      const small = document.createElement("canvas");
      small.width = small.height = 2 * CHECKER_SIZE;
      const context = small.getContext("2d");
      context.fillStyle = "#fff";
      context.fillRect(0, 0, 2 * CHECKER_SIZE, 2 * CHECKER_SIZE);
      context.fillStyle = "#d8d8d8";
      context.fillRect(0, 0, CHECKER_SIZE, CHECKER_SIZE);
      context.fillRect(CHECKER_SIZE, CHECKER_SIZE, CHECKER_SIZE, CHECKER_SIZE);
      this.#checkerPattern = this.#context.createPattern(small, "repeat");
    }
    this.#context.fillStyle = this.#checkerPattern;
    this.#context.fillRect(left, top, width, height);
  }
}
