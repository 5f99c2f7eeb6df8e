/* The strip of thumbnails below the image. */

import { brief, share } from "./format.js";
import { levels, tile } from "./server.js";

/** Largest side of a thumbnail, in pixels of a high-density screen. */
const THUMBNAIL_SIZE = 192;

/** @typedef {import("./images.js").Entry} Entry */

export class Strip {
  #list;
  #onSelect;
  #onRemove;
  /** @type {Map<Entry, HTMLLIElement>} */
  #items = new Map();
  /** Visible images, whose previews are requested. */
  #visible = new Set();
  #observer;
  /** Previews are made one at a time, since denoising is more urgent. */
  #queue = Promise.resolve();

  /**
   * @param {HTMLElement} list
   * @param {(entry: Entry) => void} onSelect
   * @param {(entry: Entry) => void} onRemove
   */
  constructor(list, onSelect, onRemove) {
    this.#list = list;
    this.#onSelect = onSelect;
    this.#onRemove = onRemove;
    this.#observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        const entry = [...this.#items].find(([, item]) => item === target)?.[0];
        if (!entry) continue;
        if (isIntersecting) this.#visible.add(entry);
        else this.#visible.delete(entry);
        this.#thumbnail(entry);
      }
    });
  }

  /** @param {Entry[]} entries */
  list(entries) {
    const remaining = new Set(entries);
    for (const [entry, item] of this.#items) {
      if (remaining.has(entry)) continue;
      this.#observer.unobserve(item);
      this.#visible.delete(entry);
      this.#items.delete(entry);
      item.remove();
    }
    for (const entry of entries) {
      if (this.#items.has(entry)) continue;
      const item = this.#item(entry);
      this.#items.set(entry, item);
      this.#list.append(item);
      this.#observer.observe(item);
      this.update(entry);
    }
  }

  /** @param {Entry} entry */
  update(entry) {
    const item = this.#items.get(entry);
    if (!item) return;
    item.dataset.state = entry.state;
    item.querySelector(".state").textContent = brief(entry);
    item.querySelector(".bar").style.width = `${100 * share(entry)}%`;
    this.#thumbnail(entry);
  }

  /** @param {Entry|null} entry */
  select(entry) {
    for (const [each, item] of this.#items) {
      const button = item.querySelector(".pick");
      if (each === entry) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
    // Scroll only the strip, not the page.
    const item = this.#items.get(entry);
    if (!item) return;
    const box = item.getBoundingClientRect();
    const strip = this.#list.getBoundingClientRect();
    if (box.left < strip.left) this.#list.scrollLeft += box.left - strip.left - 16;
    if (box.right > strip.right) this.#list.scrollLeft += box.right - strip.right + 16;
  }

  /** @param {Entry} entry */
  focus(entry) {
    this.#items.get(entry)?.querySelector(".pick").focus();
  }

  /** @param {Entry} entry */
  #item(entry) {
    const item = document.createElement("li");
    const pick = document.createElement("button");
    pick.type = "button";
    pick.className = "pick";
    pick.title = entry.name;
    const frame = document.createElement("span");
    frame.className = "frame";
    const thumbnail = document.createElement("canvas");
    thumbnail.width = thumbnail.height = 0;
    const bar = document.createElement("span");
    bar.className = "bar";
    frame.append(thumbnail, bar);
    const name = document.createElement("span");
    name.className = "name";
    name.textContent = entry.name;
    const state = document.createElement("span");
    state.className = "state";
    pick.append(frame, name, state);
    pick.addEventListener("click", () => this.#onSelect(entry));
    const remove = document.createElement("button");
    remove.type = "button";
    remove.className = "remove";
    remove.setAttribute("aria-label", `Remove ${entry.name}`);
    remove.textContent = "×";
    remove.addEventListener("click", () => this.#onRemove(entry));
    item.append(pick, remove);
    return item;
  }

  /** @param {Entry} entry */
  #thumbnail(entry) {
    const item = this.#items.get(entry);
    if (!entry.job || !item || item.dataset.thumbnail || !this.#visible.has(entry)) return;
    item.dataset.thumbnail = "loading";
    this.#queue = this.#queue.then(async () => {
      try {
        await this.#draw(entry, item.querySelector("canvas"));
        item.dataset.thumbnail = "loaded";
      } catch {
        // The next change of the image tries again.
        delete item.dataset.thumbnail;
      }
    });
  }

  /** @param {Entry} entry @param {HTMLCanvasElement} canvas */
  async #draw({ job }, canvas) {
    const all = await levels(job.id, "before", 0);
    const bitmap = await tile(`/api/jobs/${job.id}/before/0/${all.levels.length - 1}/0/0`);
    const scale = Math.min(THUMBNAIL_SIZE / Math.max(bitmap.width, bitmap.height), 1);
    canvas.width = Math.max(Math.round(bitmap.width * scale), 1);
    canvas.height = Math.max(Math.round(bitmap.height * scale), 1);
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
  }
}
