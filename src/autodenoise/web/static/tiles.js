/* Tiles of the pictures: fetched when wanted, kept while there is room. */

import { Refusal, levels, tile } from "./server.js";

const FETCHES_AT_ONCE = 6;
/** Of 1 MB each. What one view needs is kept whatever it is. */
const TILES_KEPT = 160;
const SECONDS_BEFORE_ANOTHER_TRY = 2;

/**
 * @typedef {object} Layer one side of one page
 * @property {string} path
 * @property {number} tile the side of a tile in pixels
 * @property {{width: number, height: number}[]} levels full size first
 */

/** @param {Layer} layer @param {number} level @param {number} row @param {number} column */
export const address = (layer, level, row, column) => `${layer.path}/${level}/${row}/${column}`;

export class Tiles {
  /** In order of use, so that the first is the one to drop. @type {Map<string, ImageBitmap>} */
  #kept = new Map();
  /** @type {Map<string, AbortController>} */
  #coming = new Map();
  /** @type {Map<string, number>} */
  #failed = new Map();
  /** @type {string[]} */
  #wanted = [];
  #arrived;
  #missing;

  /**
   * @param {() => void} arrived called when there is more to draw
   * @param {(error: Error, path: string) => void} missing called when there will not be
   */
  constructor(arrived, missing) {
    this.#arrived = arrived;
    this.#missing = missing;
  }

  /**
   * The layer, and its coarsest tile with it: a stand-in for any other.
   *
   * @param {string} id
   * @param {"before"|"after"} side
   * @param {number} page
   * @returns {Promise<Layer>}
   */
  async open(id, side, page) {
    const layer = { path: `/api/jobs/${id}/${side}/${page}`, ...(await levels(id, side, page)) };
    const coarsest = address(layer, layer.levels.length - 1, 0, 0);
    if (!this.#kept.has(coarsest)) this.#kept.set(coarsest, await tile(coarsest));
    return layer;
  }

  /** @param {string} path @returns {ImageBitmap|undefined} */
  get(path) {
    const bitmap = this.#kept.get(path);
    if (bitmap) {
      this.#kept.delete(path);
      this.#kept.set(path, bitmap);
    }
    return bitmap;
  }

  /**
   * Says what to fetch, the most urgent first; what is not among it is called off.
   *
   * @param {string[]} paths
   * @param {number} inUse how many tiles are drawn now
   */
  want(paths, inUse) {
    const now = performance.now();
    this.#wanted = paths.filter((path) => !(this.#failed.get(path) > now));
    for (const [path, controller] of this.#coming) {
      if (!paths.includes(path)) controller.abort();
    }
    for (const [path, bitmap] of this.#kept) {
      if (this.#kept.size <= Math.max(TILES_KEPT, 2 * inUse)) break;
      bitmap.close();
      this.#kept.delete(path);
    }
    this.#fetch();
  }

  #fetch() {
    for (const path of this.#wanted) {
      if (this.#coming.size >= FETCHES_AT_ONCE) return;
      if (!this.#coming.has(path) && !this.#kept.has(path)) this.#bring(path);
    }
  }

  /** @param {string} path */
  async #bring(path) {
    const controller = new AbortController();
    this.#coming.set(path, controller);
    try {
      this.#kept.set(path, await tile(path, controller.signal));
      this.#failed.delete(path);
    } catch (error) {
      if (error.name !== "AbortError") this.#fail(path, error);
    }
    this.#coming.delete(path);
    this.#arrived();
  }

  /** @param {string} path @param {Error} error */
  #fail(path, error) {
    const forGood = error instanceof Refusal && error.status === 404;
    const seconds = forGood ? Infinity : SECONDS_BEFORE_ANOTHER_TRY;
    this.#failed.set(path, performance.now() + 1000 * seconds);
    if (!forGood) setTimeout(this.#arrived, 1000 * seconds + 50);
    this.#missing(error, path);
  }
}
