/* The pictures of this page and what becomes of each on the server. */

import { Refusal, Unreachable, forget, job as ask, limits, submit } from "./server.js";
import { size } from "./words.js";

/** The server's queue is short and shared; the page keeps what waits. */
const AT_ONCE = 2;
const UNFINISHED = ["sending", "waiting", "working"];
const SECONDS_UNTIL_ASKED_AGAIN = 2;
const SENDS_BEFORE_GIVING_UP = 3;

/**
 * @typedef {object} Picture
 * @property {number} key
 * @property {File} file
 * @property {string} name
 * @property {number} strength from 0 to 1
 * @property {number|null} black
 * @property {number|null} white
 * @property {"queued"|"sending"|"waiting"|"working"|"done"|"failed"|"cancelled"} state
 * @property {import("./server.js").Job|null} job the last that the server took, perhaps of an earlier model
 * @property {string} error
 * @property {object} turn changes when what goes on for the picture is overtaken
 */

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

/** The server forgets what nobody asks for within an hour. */
const MINUTES_BETWEEN_REMINDERS = 10;

/**
 * Sends "list" when pictures come or go, "picture" with the picture as detail when one changes,
 * and "trouble" when `trouble` does.
 */
export class Pictures extends EventTarget {
  /** @type {Picture[]} */
  list = [];
  /** @type {""|"gone"|"busy"} */
  trouble = "";
  /** What a server that is busy says. */
  reason = "";
  model = "";
  uploadBytes = Infinity;
  /** @type {Picture|null} goes before the others */
  wanted = null;
  #lastKey = 0;
  #strength = 1;

  constructor() {
    super();
    setInterval(() => this.#remind(), 60_000 * MINUTES_BETWEEN_REMINDERS);
  }

  /** @param {File[]} files @returns {Picture[]} */
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
      turn: {},
    }));
    this.list.push(...added);
    this.dispatchEvent(new Event("list"));
    this.#start();
    return added;
  }

  /** All at once, so that none is begun that is about to go. @param {Picture[]} pictures */
  remove(pictures) {
    const going = new Set(pictures);
    for (const picture of going) this.#stop(picture);
    this.list = this.list.filter((picture) => !going.has(picture));
    this.dispatchEvent(new Event("list"));
    this.#start();
  }

  /** @param {Picture} picture */
  cancel(picture) {
    this.#stop(picture);
    this.#change(picture, "cancelled");
    this.#start();
  }

  /** Sends pictures anew; the last result stays to be seen until there is another. @param {Picture[]} pictures */
  again(pictures) {
    for (const picture of pictures) {
      if (picture.job && UNFINISHED.includes(picture.state)) forget(picture.job.id);
      picture.turn = {};
      this.#change(picture, "queued");
    }
    this.#start();
  }

  /** For the page's end: the server need not wait until it knows that nobody comes back. */
  forgetAll() {
    for (const { job } of this.list) {
      if (job) forget(job.id);
    }
  }

  /** @param {Picture} picture @param {number} strength */
  setStrength(picture, strength) {
    picture.strength = strength;
    this.#strength = strength;
  }

  /** Keeps what is done there while the page is looked at or at work, so that all can be downloaded in the end. */
  async #remind() {
    const unfinished = this.list.some(({ state }) => state === "queued" || UNFINISHED.includes(state));
    if (document.hidden && !unfinished) return;
    for (const { job, state } of [...this.list]) {
      // One that is forgotten all the same is found so when it is wanted.
      if (job && state === "done") await ask(job.id).catch(() => {});
    }
  }

  /** @param {Picture} picture */
  #stop(picture) {
    picture.turn = {};
    if (picture.job) forget(picture.job.id);
    // Whoever else is told that the server is busy will say so again.
    if (this.trouble === "busy") this.#troubled("");
  }

  #start() {
    // Pictures may come before the page knows what models there are.
    if (!this.model) return;
    const going = this.list.filter(({ state }) => UNFINISHED.includes(state)).length;
    const queued = this.list.filter(({ state }) => state === "queued");
    queued.sort((one, other) => (other === this.wanted) - (one === this.wanted));
    for (const picture of queued.slice(0, Math.max(AT_ONCE - going, 0))) {
      this.#live(picture, picture.turn);
    }
  }

  /** @param {Picture} picture @param {object} turn */
  async #live(picture, turn) {
    this.#change(picture, "sending");
    try {
      do {
        await this.#send(picture, turn);
      } while (turn === picture.turn && !(await this.#follow(picture, turn)));
    } catch (error) {
      if (turn === picture.turn) this.#change(picture, "failed", error.message);
    }
    this.#start();
  }

  /** @param {Picture} picture @param {object} turn */
  async #send(picture, turn) {
    if (picture.file.size > this.uploadBytes) {
      throw new Error(
        `${picture.name} is ${size(picture.file.size)}; the server takes files of up to ${size(this.uploadBytes)}.`,
      );
    }
    for (let sends = 0; turn === picture.turn; ) {
      try {
        const { model } = this;
        const job = await submit(picture.file, { model, black: picture.black, white: picture.white });
        this.#troubled("");
        if (turn !== picture.turn) return forget(job.id);
        if (picture.job) forget(picture.job.id);
        picture.job = job;
        return this.#change(picture, job.state, job.error);
      } catch (error) {
        if (turn !== picture.turn) return undefined;
        this.#change(picture, "waiting");
        if (error instanceof Refusal && error.status === 503) {
          this.#troubled("busy", error.message);
          await pause(error.retryAfter);
        } else if (error instanceof Unreachable) {
          // A server that answers everything else was not the cause.
          if (await this.#answers()) sends += 1;
          if (sends === SENDS_BEFORE_GIVING_UP) {
            throw new Error(`${picture.name} could not be sent. Was the file moved or changed since?`);
          }
          await pause(SECONDS_UNTIL_ASKED_AGAIN);
        } else {
          throw error;
        }
      }
    }
    return undefined;
  }

  /** Asks until the job is over; false if the server has forgotten it. @param {Picture} picture @param {object} turn */
  async #follow(picture, turn) {
    while (turn === picture.turn && UNFINISHED.includes(picture.state)) {
      await pause(document.hidden ? 1.5 : 0.3);
      if (turn !== picture.turn) return true;
      try {
        const job = await ask(picture.job.id);
        this.#troubled("");
        if (turn !== picture.turn) return true;
        picture.job = job;
        this.#change(picture, job.state, job.error);
      } catch (error) {
        if (turn !== picture.turn) return true;
        if (error instanceof Unreachable) {
          this.#troubled("gone");
          await pause(SECONDS_UNTIL_ASKED_AGAIN);
        } else if (error.status === 404) {
          this.#change(picture, "sending");
          return false;
        } else {
          throw error;
        }
      }
    }
    return true;
  }

  async #answers() {
    try {
      await limits();
      this.#troubled("");
      return true;
    } catch {
      this.#troubled("gone");
      return false;
    }
  }

  /** Told by whoever calls the server for something else and gets no answer. */
  async missServer() {
    if (this.trouble === "gone") return;
    while (!(await this.#answers())) await pause(SECONDS_UNTIL_ASKED_AGAIN);
  }

  /** @param {""|"gone"|"busy"} trouble @param {string} [reason] */
  #troubled(trouble, reason = "") {
    if (trouble === this.trouble && reason === this.reason) return;
    this.trouble = trouble;
    this.reason = reason;
    this.dispatchEvent(new Event("trouble"));
  }

  /** @param {Picture} picture @param {Picture["state"]} state @param {string|null} [error] */
  #change(picture, state, error = "") {
    picture.state = state;
    picture.error = error ?? "";
    this.dispatchEvent(new CustomEvent("picture", { detail: picture }));
  }
}
