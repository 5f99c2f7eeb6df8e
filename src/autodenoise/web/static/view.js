/* Position and scale of the image on the canvas. Lengths are device pixels, except the image's own. */

const MAX_SCALE = 32;

/** Pan and zoom state. */
export class View {
  image = { width: 1, height: 1 };
  stage = { width: 1, height: 1 };
  /** Device pixels per image pixel. */
  scale = 1;
  /** The image position at the center of the stage. */
  center = { x: 0.5, y: 0.5 };
  /** Whether the image is scaled to fit the stage. */
  fitted = true;

  get fitScale() {
    const { image, stage } = this;
    const scale = Math.min(stage.width / image.width, stage.height / image.height, MAX_SCALE);
    // Enlarge small images by a whole factor, so that all pixels have the same size.
    return scale > 1 ? Math.floor(scale) : scale;
  }

  fit() {
    this.scale = this.fitScale;
    this.center = { x: this.image.width / 2, y: this.image.height / 2 };
    this.fitted = true;
  }

  /** @param {number} width @param {number} height of the stage */
  resize(width, height) {
    this.stage = { width, height };
    if (this.fitted) this.fit();
    else this.#clamp();
  }

  /**
   * Shows another image. If it has the same size, pan and zoom are kept for comparison.
   *
   * @param {number} width
   * @param {number} height
   */
  show(width, height) {
    const same = width === this.image.width && height === this.image.height;
    this.image = { width, height };
    if (!same) this.fit();
  }

  /** Zooms around a point of the stage. @param {number} scale @param {number} [x] @param {number} [y] */
  zoom(scale, x = this.stage.width / 2, y = this.stage.height / 2) {
    const minScale = Math.min(this.fitScale, 1);
    const next = Math.min(Math.max(scale, minScale), MAX_SCALE);
    const offset = 1 / this.scale - 1 / next;
    this.center.x += (x - this.stage.width / 2) * offset;
    this.center.y += (y - this.stage.height / 2) * offset;
    this.scale = next;
    this.fitted = next === this.fitScale;
    this.#clamp();
  }

  /** @param {number} dx @param {number} dy */
  pan(dx, dy) {
    this.center.x -= dx / this.scale;
    this.center.y -= dy / this.scale;
    this.#clamp();
  }

  get pannable() {
    const { image, stage, scale } = this;
    return image.width * scale > stage.width + 1 || image.height * scale > stage.height + 1;
  }

  /** Position of the image's corner, in whole pixels so that 100 % is exact. */
  get origin() {
    const { stage, center, scale } = this;
    return {
      x: Math.round(stage.width / 2 - center.x * scale),
      y: Math.round(stage.height / 2 - center.y * scale),
    };
  }

  /** The part of the stage that the image covers. */
  get visible() {
    const { x, y } = this.origin;
    const left = Math.max(x, 0);
    const top = Math.max(y, 0);
    const right = Math.min(x + Math.round(this.image.width * this.scale), this.stage.width);
    const bottom = Math.min(y + Math.round(this.image.height * this.scale), this.stage.height);
    return { left, top, right, bottom, width: right - left, height: bottom - top };
  }

  /** Index of the coarsest level with at least one pixel per device pixel. @param {{width: number}[]} levels */
  level(levels) {
    const onScreen = this.image.width * this.scale;
    const enough = levels.findLastIndex(({ width }) => width >= onScreen - 1);
    return Math.max(enough, 0);
  }

  /** Limits panning to the borders of the image. */
  #clamp() {
    const clamp = (center, length, stage) => {
      const half = stage / this.scale / 2;
      return length <= 2 * half ? length / 2 : Math.min(Math.max(center, half), length - half);
    };
    this.center.x = clamp(this.center.x, this.image.width, this.stage.width);
    this.center.y = clamp(this.center.y, this.image.height, this.stage.height);
  }
}
