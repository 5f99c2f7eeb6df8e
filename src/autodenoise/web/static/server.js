/* The calls to the server that gave this page. */

/** An answer that says no, with the server's sentence as its message. */
export class Refusal extends Error {
  /**
   * @param {number} status of HTTP
   * @param {string} detail a sentence for people
   * @param {number} retryAfter seconds
   */
  constructor(status, detail, retryAfter) {
    super(detail);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** No answer at all. */
export class Unreachable extends Error {
  constructor() {
    super("autodenoise serve does not answer.");
  }
}

/**
 * @typedef {object} Job
 * @property {string} id
 * @property {"waiting"|"working"|"done"|"failed"|"cancelled"} state
 * @property {number} ahead jobs before this one
 * @property {number} tiles
 * @property {number} tiles_done
 * @property {number|null} seconds_left
 * @property {string|null} error
 * @property {{format: string, width: number, height: number, pages: number, bands: number, bits: number}} picture
 * @property {string[]} formats endings, its own first
 * @property {{black: number, white: number}|null} shown what the preview is brightened from
 */

/** @param {Response} response @returns {Promise<Refusal>} */
async function refusal(response) {
  let detail = "";
  try {
    detail = (await response.json()).detail;
  } catch {
    // What stands between may answer with something that is not ours.
  }
  if (typeof detail !== "string" || !detail) {
    detail = `The server answered ${response.status} and did not say why.`;
  }
  return new Refusal(response.status, detail, Number(response.headers.get("Retry-After")) || 5);
}

/** @param {string} path @param {RequestInit} [options] @returns {Promise<Response>} */
async function call(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    throw error.name === "AbortError" ? error : new Unreachable();
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

/** A body can break off after its head came. @template T @param {() => Promise<T>} read @returns {Promise<T>} */
async function body(read) {
  try {
    return await read();
  } catch (error) {
    throw error.name === "AbortError" ? error : new Unreachable();
  }
}

/** @param {string} path @param {RequestInit} [options] */
async function json(path, options) {
  const response = await call(path, options);
  return body(() => response.json());
}

/** @returns {Promise<{version: string, upload_bytes: number, pixels: number, endings: string[]}>} */
export const limits = () => json("/api/limits");

/** @returns {Promise<{name: string, default: boolean, about: [string, string][]}[]>} */
export const models = () => json("/api/models");

/**
 * @param {File} file
 * @param {{model: string, black: number|null, white: number|null}} how
 * @returns {Promise<Job>}
 */
export function submit(file, { model, black, white }) {
  const query = new URLSearchParams({ name: file.name, model });
  if (black !== null) query.set("black", String(black));
  if (white !== null) query.set("white", String(white));
  const headers = { "Content-Type": "application/octet-stream" };
  return json(`/api/jobs?${query}`, { method: "POST", headers, body: file });
}

/** @param {string} id @returns {Promise<Job>} */
export const job = (id) => json(`/api/jobs/${id}`);

/** Lets go of a job; what the server no longer has is as good as deleted. @param {string} id */
export function forget(id) {
  fetch(`/api/jobs/${id}`, { method: "DELETE", keepalive: true }).catch(() => {});
}

/**
 * @param {string} id
 * @param {"before"|"after"} side
 * @param {number} page
 * @returns {Promise<{tile: number, levels: {width: number, height: number}[]}>}
 */
export const levels = (id, side, page) => json(`/api/jobs/${id}/${side}/${page}`);

/** @param {string} path of a tile @param {AbortSignal} [signal] @returns {Promise<ImageBitmap>} */
export async function tile(path, signal) {
  const response = await call(path, { signal });
  return createImageBitmap(await body(() => response.blob()));
}

/** @param {Response} response @returns {Promise<{blob: Blob, name: string}>} */
async function saved(response) {
  const disposition = response.headers.get("Content-Disposition") ?? "";
  const extended = /filename\*=UTF-8''([^;]+)/i.exec(disposition);
  const plain = /filename="([^"]+)"/i.exec(disposition);
  const name = extended ? decodeURIComponent(extended[1]) : (plain?.[1] ?? "denoised");
  return { blob: await body(() => response.blob()), name };
}

/**
 * @param {string} id
 * @param {{strength: number, format: string|null, stripMetadata: boolean}} how
 */
export async function result(id, { strength, format, stripMetadata }) {
  const query = new URLSearchParams({ strength: String(strength) });
  if (format) query.set("format", format);
  if (stripMetadata) query.set("strip_metadata", "true");
  return saved(await call(`/api/jobs/${id}/result?${query}`));
}

/**
 * @param {{id: string, strength: number}[]} pictures
 * @param {{format: string|null, stripMetadata: boolean}} how
 */
export async function archive(pictures, { format, stripMetadata }) {
  const headers = { "Content-Type": "application/json" };
  const request = JSON.stringify({ pictures, format, strip_metadata: stripMetadata });
  return saved(await call("/api/archive", { method: "POST", headers, body: request }));
}
