/* Loads and caches tiles of previews. */

import { RequestError, levels, tile } from "./server.js";

const MAX_FETCHES = 6;
/** Tiles take 1 MB each. Those of the current view are kept even if there are more. */
const MAX_CACHED_TILES = 160;
const RETRY_SECONDS = 2;

/**
 * @typedef {object} Layer one side of one page
 * @property {string} path
 * @property {number} tile the side of a tile in pixels
 * @property {{width: number, height: number}[]} levels full size first
 */

/** @param {Layer} layer @param {number} level @param {number} row @param {number} column */
export const address = (layer, level, row, column) => `${layer.path}/${level}/${row}/${column}`;

export class Tiles {
  /** Least recently used first. @type {Map<string, ImageBitmap>} */
  #cache = new Map();
  /** @type {Map<string, AbortController>} */
  #loading = new Map();
  /** @type {Map<string, number>} */
  #failed = new Map();
  /** @type {string[]} */
  #requested = [];
  #onLoad;
  #onError;

  /**
   * @param {() => void} onLoad called when a tile has been loaded
   * @param {(error: Error, path: string) => void} onError called when loading fails
   */
  constructor(onLoad, onError) {
    this.#onLoad = onLoad;
    this.#onError = onError;
  }

  /**
   * Opens a layer and loads its coarsest tile, a placeholder for all others.
   *
   * @param {string} id
   * @param {"before"|"after"} side
   * @param {number} page
   * @returns {Promise<Layer>}
   */
  async open(id, side, page) {
    const layer = { path: `/api/jobs/${id}/${side}/${page}`, ...(await levels(id, side, page)) };
    const coarsest = address(layer, layer.levels.length - 1, 0, 0);
    if (!this.#cache.has(coarsest)) this.#cache.set(coarsest, await tile(coarsest));
    return layer;
  }

  /** @param {string} path @returns {ImageBitmap|undefined} */
  get(path) {
    const bitmap = this.#cache.get(path);
    if (bitmap) {
      this.#cache.delete(path);
      this.#cache.set(path, bitmap);
    }
    return bitmap;
  }

  /**
   * Sets the tiles to load, most urgent first; other requests are aborted.
   *
   * @param {string[]} paths
   * @param {number} inUse how many tiles are drawn now
   */
  request(paths, inUse) {
    const now = performance.now();
    this.#requested = paths.filter((path) => !(this.#failed.get(path) > now));
    for (const [path, controller] of this.#loading) {
      if (!paths.includes(path)) controller.abort();
    }
    for (const [path, bitmap] of this.#cache) {
      if (this.#cache.size <= Math.max(MAX_CACHED_TILES, 2 * inUse)) break;
      bitmap.close();
      this.#cache.delete(path);
    }
    this.#fetch();
  }

  #fetch() {
    for (const path of this.#requested) {
      if (this.#loading.size >= MAX_FETCHES) return;
      if (!this.#loading.has(path) && !this.#cache.has(path)) this.#load(path);
    }
  }

  /** @param {string} path */
  async #load(path) {
    const controller = new AbortController();
    this.#loading.set(path, controller);
    try {
      this.#cache.set(path, await tile(path, controller.signal));
      this.#failed.delete(path);
    } catch (error) {
      if (error.name !== "AbortError") this.#fail(path, error);
    }
    this.#loading.delete(path);
    this.#onLoad();
  }

  /** @param {string} path @param {Error} error */
  #fail(path, error) {
    const permanent = error instanceof RequestError && error.status === 404;
    const seconds = permanent ? Infinity : RETRY_SECONDS;
    this.#failed.set(path, performance.now() + 1000 * seconds);
    if (!permanent) setTimeout(this.#onLoad, 1000 * seconds + 50);
    this.#onError(error, path);
  }
}
