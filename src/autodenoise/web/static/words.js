/* Numbers and states in words. */

/** @param {number} count @param {string} one @param {string} [many] */
export const counted = (count, one, many = `${one}s`) =>
  `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

/** @param {number} seconds */
export function duration(seconds) {
  if (seconds < 1) return "1 s";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

/** @param {number} bytes */
export function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB"];
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), 3);
  const number = bytes / 1000 ** power;
  return `${number.toLocaleString("en", { maximumFractionDigits: number < 10 ? 1 : 0 })} ${units[power]}`;
}

/** Formats by their endings, each once. @param {string[]} endings */
export function formats(endings) {
  const names = { jpg: "JPEG", tif: "TIFF", webp: "WebP", heif: "HEIC" };
  const all = endings.map((ending) => ending.slice(1)).map((ending) => names[ending] ?? ending.toUpperCase());
  return [...new Set(all)].join(", ");
}

/** The share that is done, from 0 to 1. @param {import("./pictures.js").Picture} picture */
export function share({ job, state }) {
  if (state === "done") return 1;
  return state === "working" && job?.tiles ? job.tiles_done / job.tiles : 0;
}

/** A few words for the strip. @param {import("./pictures.js").Picture} picture */
export function brief(picture) {
  const { job, state } = picture;
  if (state === "working") {
    const left = job.seconds_left;
    const percent = `${Math.floor(100 * share(picture))} %`;
    return left === null ? percent : `${percent}, ${duration(left)} left`;
  }
  if (state === "waiting" && job?.ahead) return `waiting, ${job.ahead} ahead`;
  return state === "queued" ? "waiting" : state;
}

/** A sentence for below the picture. @param {import("./pictures.js").Picture} picture */
export function progress(picture) {
  const { job, state } = picture;
  if (state === "sending") return "Sending the picture";
  if (state === "queued") return "Waiting for its turn";
  if (state === "waiting") {
    return job?.ahead ? `Waiting, ${counted(job.ahead, "picture")} before this one` : "Waiting for the server";
  }
  if (state === "cancelled") return "Cancelled";
  const tiles = job.tiles > 1 ? `Tile ${Math.min(job.tiles_done + 1, job.tiles)} of ${job.tiles}` : "Working";
  return job.seconds_left === null ? tiles : `${tiles}, about ${duration(job.seconds_left)} left`;
}

/** @param {import("./server.js").Job} job */
export function facts({ picture }) {
  const parts = [
    `${picture.width} × ${picture.height}`,
    picture.format,
    picture.bands > 1 ? `${picture.bands} × ${picture.bits} bits` : `${picture.bits} bits`,
  ];
  if (picture.pages > 1) parts.push(counted(picture.pages, "page"));
  return parts.join(", ");
}

/** @param {import("./pictures.js").Picture[]} pictures */
export function overall(pictures) {
  const done = pictures.filter(({ state }) => state === "done").length;
  const failed = pictures.filter(({ state }) => state === "failed").length;
  const said = `${done} of ${pictures.length} done`;
  return failed ? `${said}, ${failed} failed` : said;
}
