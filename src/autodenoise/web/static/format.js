/* Format numbers and states as text. */

/** @param {number} count @param {string} one @param {string} [many] */
export const plural = (count, one, many = `${one}s`) =>
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

/** Names of the formats with these suffixes. @param {string[]} suffixes */
export function formats(suffixes) {
  const names = { jpg: "JPEG", tif: "TIFF", webp: "WebP", heif: "HEIC" };
  const all = suffixes.map((suffix) => suffix.slice(1)).map((suffix) => names[suffix] ?? suffix.toUpperCase());
  return [...new Set(all)].join(", ");
}

/** Progress from 0 to 1. @param {import("./images.js").Entry} entry */
export function share({ job, state }) {
  if (state === "done") return 1;
  return state === "working" && job?.tiles ? job.tiles_done / job.tiles : 0;
}

/** Short status text for the strip. @param {import("./images.js").Entry} entry */
export function brief(entry) {
  const { job, state } = entry;
  if (state === "working") {
    const left = job.seconds_left;
    const percent = `${Math.floor(100 * share(entry))} %`;
    return left === null ? percent : `${percent}, ${duration(left)} left`;
  }
  if (state === "waiting" && job?.ahead) return `waiting, ${job.ahead} ahead`;
  return { queued: "waiting", sending: "uploading" }[state] ?? state;
}

/** Progress text below the image. @param {import("./images.js").Entry} entry */
export function progress(entry) {
  const { job, state } = entry;
  if (state === "sending") return "Uploading";
  if (state === "queued") return "Waiting";
  if (state === "waiting") {
    return job?.ahead ? `Waiting, ${plural(job.ahead, "image")} ahead` : "Waiting for the server";
  }
  if (state === "cancelled") return "Cancelled";
  const tiles = job.tiles > 1 ? `Tile ${Math.min(job.tiles_done + 1, job.tiles)} of ${job.tiles}` : "Denoising";
  return job.seconds_left === null ? tiles : `${tiles}, about ${duration(job.seconds_left)} left`;
}

/** @param {import("./server.js").Job} job */
export function facts({ image }) {
  const parts = [
    `${image.width} × ${image.height}`,
    image.format,
    image.bands > 1 ? `${image.bands} × ${image.bits} bits` : `${image.bits} bits`,
  ];
  if (image.pages > 1) parts.push(plural(image.pages, "page"));
  return parts.join(", ");
}

/** @param {import("./images.js").Entry[]} entries */
export function overall(entries) {
  const done = entries.filter(({ state }) => state === "done").length;
  const failed = entries.filter(({ state }) => state === "failed").length;
  const text = `${done} of ${entries.length} done`;
  return failed ? `${text}, ${failed} failed` : text;
}
