/* The images on this page, and their jobs on the server. */

import { size } from "./format.js";
import { RequestError, ServerUnreachable, fetchJob, limits, removeJob, submit } from "./server.js";

/** The server's queue is short and shared, so other images wait on the page. */
const MAX_ON_SERVER = 2;
const UNFINISHED = ["sending", "waiting", "working"];
const RETRY_SECONDS = 2;
const MAX_UPLOAD_ATTEMPTS = 3;

/**
 * @typedef {object} Entry
 * @property {number} key
 * @property {File} file
 * @property {string} name
 * @property {number} strength from 0 to 1
 * @property {number|null} black
 * @property {number|null} white
 * @property {"queued"|"sending"|"waiting"|"working"|"done"|"failed"|"cancelled"} state
 * @property {import("./server.js").Job|null} job the latest job, perhaps of a previous model
 * @property {string} error
 * @property {object} run replaced when the image is stopped or run again, so that pending calls stop
 */

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

/** The server removes jobs without a request for an hour. */
const KEEP_ALIVE_MINUTES = 10;

/**
 * Events: "list" when images are added or removed, "change" with an entry as detail when it changes,
 * and "problem" when `problem` changes.
 */
export class ImageList extends EventTarget {
  /** @type {Entry[]} */
  list = [];
  /** @type {""|"offline"|"busy"} */
  problem = "";
  /** Message of a busy server. */
  reason = "";
  model = "";
  uploadBytes = Infinity;
  /** @type {Entry|null} is run before the others */
  selected = null;
  #lastKey = 0;
  #strength = 1;

  constructor() {
    super();
    setInterval(() => this.#keepAlive(), 60_000 * KEEP_ALIVE_MINUTES);
  }

  /** @param {File[]} files @returns {Entry[]} */
  add(files) {
    const added = files.map((file) => ({
      key: ++this.#lastKey,
      file,
      name: file.name,
      strength: this.#strength,
      black: null,
      white: null,
      state: "queued",
      job: null,
      error: "",
      run: {},
    }));
    this.list.push(...added);
    this.dispatchEvent(new Event("list"));
    this.#start();
    return added;
  }

  /** Removes several at once, so that none of them is started. @param {Entry[]} entries */
  remove(entries) {
    const removed = new Set(entries);
    for (const entry of removed) this.#stop(entry);
    this.list = this.list.filter((entry) => !removed.has(entry));
    this.dispatchEvent(new Event("list"));
    this.#start();
  }

  /** @param {Entry} entry */
  cancel(entry) {
    this.#stop(entry);
    this.#change(entry, "cancelled");
    this.#start();
  }

  /** Runs images again; the previous result stays visible until then. @param {Entry[]} entries */
  rerun(entries) {
    for (const entry of entries) {
      if (entry.job && UNFINISHED.includes(entry.state)) removeJob(entry.job.id);
      entry.run = {};
      this.#change(entry, "queued");
    }
    this.#start();
  }

  /** Removes all jobs when the page is closed. */
  removeAllJobs() {
    for (const { job } of this.list) {
      if (job) removeJob(job.id);
    }
  }

  /** @param {Entry} entry @param {number} strength */
  setStrength(entry, strength) {
    entry.strength = strength;
    this.#strength = strength;
  }

  /** Keeps finished jobs on the server while the page is visible or working. */
  async #keepAlive() {
    const unfinished = this.list.some(({ state }) => state === "queued" || UNFINISHED.includes(state));
    if (document.hidden && !unfinished) return;
    for (const { job, state } of [...this.list]) {
      // A missing job is run again when it is downloaded.
      if (job && state === "done") await fetchJob(job.id).catch(() => {});
    }
  }

  /** @param {Entry} entry */
  #stop(entry) {
    entry.run = {};
    if (entry.job) removeJob(entry.job.id);
    // If the server is still busy, the next upload reports it.
    if (this.problem === "busy") this.#setProblem("");
  }

  #start() {
    // Images may be added before the models are known.
    if (!this.model) return;
    const running = this.list.filter(({ state }) => UNFINISHED.includes(state)).length;
    const queued = this.list.filter(({ state }) => state === "queued");
    queued.sort((one, other) => (other === this.selected) - (one === this.selected));
    for (const entry of queued.slice(0, Math.max(MAX_ON_SERVER - running, 0))) {
      this.#process(entry, entry.run);
    }
  }

  /** @param {Entry} entry @param {object} run */
  async #process(entry, run) {
    this.#change(entry, "sending");
    try {
      do {
        await this.#send(entry, run);
      } while (run === entry.run && !(await this.#follow(entry, run)));
    } catch (error) {
      if (run === entry.run) this.#change(entry, "failed", error.message);
    }
    this.#start();
  }

  /** @param {Entry} entry @param {object} run */
  async #send(entry, run) {
    if (entry.file.size > this.uploadBytes) {
      throw new Error(
        `${entry.name} is ${size(entry.file.size)}; the server accepts files up to ${size(this.uploadBytes)}.`,
      );
    }
    for (let attempts = 0; run === entry.run; ) {
      try {
        const { model } = this;
        const job = await submit(entry.file, { model, black: entry.black, white: entry.white });
        this.#setProblem("");
        if (run !== entry.run) return removeJob(job.id);
        if (entry.job) removeJob(entry.job.id);
        entry.job = job;
        return this.#change(entry, job.state, job.error);
      } catch (error) {
        if (run !== entry.run) return undefined;
        this.#change(entry, "waiting");
        if (error instanceof RequestError && error.status === 503) {
          this.#setProblem("busy", error.message);
          await pause(error.retryAfter);
        } else if (error instanceof ServerUnreachable) {
          // If the server answers other requests, the file is the cause.
          if (await this.#isOnline()) attempts += 1;
          if (attempts === MAX_UPLOAD_ATTEMPTS) {
            throw new Error(`${entry.name} could not be uploaded. If the file was moved or changed, add it again.`);
          }
          await pause(RETRY_SECONDS);
        } else {
          throw error;
        }
      }
    }
    return undefined;
  }

  /** Polls until the job is finished; returns false if the server has removed it. @param {Entry} entry @param {object} run */
  async #follow(entry, run) {
    while (run === entry.run && UNFINISHED.includes(entry.state)) {
      await pause(document.hidden ? 1.5 : 0.3);
      if (run !== entry.run) return true;
      try {
        const job = await fetchJob(entry.job.id);
        this.#setProblem("");
        if (run !== entry.run) return true;
        entry.job = job;
        this.#change(entry, job.state, job.error);
      } catch (error) {
        if (run !== entry.run) return true;
        if (error instanceof ServerUnreachable) {
          this.#setProblem("offline");
          await pause(RETRY_SECONDS);
        } else if (error.status === 404) {
          this.#change(entry, "sending");
          return false;
        } else {
          throw error;
        }
      }
    }
    return true;
  }

  async #isOnline() {
    try {
      await limits();
      this.#setProblem("");
      return true;
    } catch {
      this.#setProblem("offline");
      return false;
    }
  }

  /** Call after another request got no response: waits until the server is back. */
  async waitForServer() {
    if (this.problem === "offline") return;
    while (!(await this.#isOnline())) await pause(RETRY_SECONDS);
  }

  /** @param {""|"offline"|"busy"} problem @param {string} [reason] */
  #setProblem(problem, reason = "") {
    if (problem === this.problem && reason === this.reason) return;
    this.problem = problem;
    this.reason = reason;
    this.dispatchEvent(new Event("problem"));
  }

  /** @param {Entry} entry @param {Entry["state"]} state @param {string|null} [error] */
  #change(entry, state, error = "") {
    entry.state = state;
    entry.error = error ?? "";
    this.dispatchEvent(new CustomEvent("change", { detail: entry }));
  }
}
