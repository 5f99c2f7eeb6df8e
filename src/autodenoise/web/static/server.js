/* Requests to the server. */

/** An error response, with the server's message. */
export class RequestError extends Error {
  /**
   * @param {number} status HTTP status
   * @param {string} detail message for the user
   * @param {number} retryAfter seconds
   */
  constructor(status, detail, retryAfter) {
    super(detail);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** No response. */
export class ServerUnreachable extends Error {
  constructor() {
    super("The server does not answer. Check that autodenoise serve is running.");
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
 * @property {{format: string, width: number, height: number, pages: number, bands: number, bits: number}} image
 * @property {string[]} formats suffixes, the default first
 * @property {{black: number, white: number}|null} display_range values that a brightened preview shows as black and white
 */

/** @param {Response} response @returns {Promise<RequestError>} */
async function requestError(response) {
  let detail = "";
  try {
    detail = (await response.json()).detail;
  } catch {
    // A proxy may answer with something else.
  }
  if (typeof detail !== "string" || !detail) {
    detail = `The server answered with status ${response.status} and no explanation.`;
  }
  return new RequestError(response.status, detail, Number(response.headers.get("Retry-After")) || 5);
}

/** @param {string} path @param {RequestInit} [options] @returns {Promise<Response>} */
async function call(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    throw error.name === "AbortError" ? error : new ServerUnreachable();
  }
  if (!response.ok) throw await requestError(response);
  return response;
}

/** Reads a response's body; the connection may break meanwhile. @template T @param {() => Promise<T>} read @returns {Promise<T>} */
async function body(read) {
  try {
    return await read();
  } catch (error) {
    throw error.name === "AbortError" ? error : new ServerUnreachable();
  }
}

/** @param {string} path @param {RequestInit} [options] */
async function json(path, options) {
  const response = await call(path, options);
  return body(() => response.json());
}

/** @returns {Promise<{version: string, upload_bytes: number, pixels: number, suffixes: string[]}>} */
export const limits = () => json("/api/limits");

/** @returns {Promise<{name: string, default: boolean, about: [string, string][]}[]>} */
export const models = () => json("/api/models");

/**
 * @param {File} file
 * @param {{model: string, black: number|null, white: number|null}} options
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
export const fetchJob = (id) => json(`/api/jobs/${id}`);

/** Removes a job without waiting; errors do not matter. @param {string} id */
export function removeJob(id) {
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
async function download(response) {
  const disposition = response.headers.get("Content-Disposition") ?? "";
  const extended = /filename\*=UTF-8''([^;]+)/i.exec(disposition);
  const plain = /filename="([^"]+)"/i.exec(disposition);
  const name = extended ? decodeURIComponent(extended[1]) : (plain?.[1] ?? "denoised");
  return { blob: await body(() => response.blob()), name };
}

/**
 * @param {string} id
 * @param {{strength: number, format: string|null, stripMetadata: boolean}} options
 */
export async function result(id, { strength, format, stripMetadata }) {
  const query = new URLSearchParams({ strength: String(strength) });
  if (format) query.set("format", format);
  if (stripMetadata) query.set("strip_metadata", "true");
  return download(await call(`/api/jobs/${id}/result?${query}`));
}

/**
 * @param {{id: string, strength: number}[]} images
 * @param {{format: string|null, stripMetadata: boolean}} options
 */
export async function archive(images, { format, stripMetadata }) {
  const headers = { "Content-Type": "application/json" };
  const request = JSON.stringify({ images, format, strip_metadata: stripMetadata });
  return download(await call("/api/archive", { method: "POST", headers, body: request }));
}
