/* The list of pictures below the stage. */

import { levels, tile } from "./server.js";
import { brief, share } from "./words.js";

/** Of a thumbnail, in pixels of the screen at twice the usual density. */
const THUMBNAIL = 192;

/** @typedef {import("./pictures.js").Picture} Picture */

export class Strip {
  #list;
  #onpick;
  #onremove;
  /** @type {Map<Picture, HTMLLIElement>} */
  #items = new Map();
  /** Those scrolled into sight, which the server need make previews for. */
  #sighted = new Set();
  #observer;
  /** One preview after the other: the pictures themselves are more urgent. */
  #queue = Promise.resolve();

  /**
   * @param {HTMLElement} list
   * @param {(picture: Picture) => void} onpick
   * @param {(picture: Picture) => void} onremove
   */
  constructor(list, onpick, onremove) {
    this.#list = list;
    this.#onpick = onpick;
    this.#onremove = onremove;
    this.#observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        const picture = [...this.#items].find(([, item]) => item === target)?.[0];
        if (!picture) continue;
        if (isIntersecting) this.#sighted.add(picture);
        else this.#sighted.delete(picture);
        this.#thumbnail(picture);
      }
    });
  }

  /** @param {Picture[]} pictures */
  list(pictures) {
    const kept = new Set(pictures);
    for (const [picture, item] of this.#items) {
      if (kept.has(picture)) continue;
      this.#observer.unobserve(item);
      this.#sighted.delete(picture);
      this.#items.delete(picture);
      item.remove();
    }
    for (const picture of pictures) {
      if (this.#items.has(picture)) continue;
      const item = this.#item(picture);
      this.#items.set(picture, item);
      this.#list.append(item);
      this.#observer.observe(item);
      this.update(picture);
    }
  }

  /** @param {Picture} picture */
  update(picture) {
    const item = this.#items.get(picture);
    if (!item) return;
    item.dataset.state = picture.state;
    item.querySelector(".state").textContent = brief(picture);
    item.querySelector(".bar").style.width = `${100 * share(picture)}%`;
    this.#thumbnail(picture);
  }

  /** @param {Picture|null} picture */
  pick(picture) {
    for (const [each, item] of this.#items) {
      const button = item.querySelector(".pick");
      if (each === picture) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
    // Sideways only: the page itself stays where it is.
    const item = this.#items.get(picture);
    if (!item) return;
    const box = item.getBoundingClientRect();
    const around = this.#list.getBoundingClientRect();
    if (box.left < around.left) this.#list.scrollLeft += box.left - around.left - 16;
    if (box.right > around.right) this.#list.scrollLeft += box.right - around.right + 16;
  }

  /** @param {Picture} picture */
  focus(picture) {
    this.#items.get(picture)?.querySelector(".pick").focus();
  }

  /** @param {Picture} picture */
  #item(picture) {
    const item = document.createElement("li");
    const pick = document.createElement("button");
    pick.type = "button";
    pick.className = "pick";
    pick.title = picture.name;
    const frame = document.createElement("span");
    frame.className = "frame";
    const thumbnail = document.createElement("canvas");
    thumbnail.width = thumbnail.height = 0;
    const bar = document.createElement("span");
    bar.className = "bar";
    frame.append(thumbnail, bar);
    const name = document.createElement("span");
    name.className = "name";
    name.textContent = picture.name;
    const state = document.createElement("span");
    state.className = "state";
    pick.append(frame, name, state);
    pick.addEventListener("click", () => this.#onpick(picture));
    const remove = document.createElement("button");
    remove.type = "button";
    remove.className = "remove";
    remove.setAttribute("aria-label", `Remove ${picture.name}`);
    remove.textContent = "×";
    remove.addEventListener("click", () => this.#onremove(picture));
    item.append(pick, remove);
    return item;
  }

  /** @param {Picture} picture */
  #thumbnail(picture) {
    const item = this.#items.get(picture);
    if (!picture.job || !item || item.dataset.thumbnail || !this.#sighted.has(picture)) return;
    item.dataset.thumbnail = "coming";
    this.#queue = this.#queue.then(async () => {
      try {
        await this.#draw(picture, item.querySelector("canvas"));
        item.dataset.thumbnail = "there";
      } catch {
        // The next change of the picture asks again; a picture without a preview needs none.
        delete item.dataset.thumbnail;
      }
    });
  }

  /** @param {Picture} picture @param {HTMLCanvasElement} canvas */
  async #draw({ job }, canvas) {
    const all = await levels(job.id, "before", 0);
    const bitmap = await tile(`/api/jobs/${job.id}/before/0/${all.levels.length - 1}/0/0`);
    const scale = Math.min(THUMBNAIL / Math.max(bitmap.width, bitmap.height), 1);
    canvas.width = Math.max(Math.round(bitmap.width * scale), 1);
    canvas.height = Math.max(Math.round(bitmap.height * scale), 1);
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
  }
}
