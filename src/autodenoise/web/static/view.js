/* Where a picture lies on the canvas. All lengths but the picture's own are pixels of the screen. */

const LARGEST_SCALE = 32;

/** Pans and zooms; knows nothing of what is drawn. */
export class View {
  picture = { width: 1, height: 1 };
  stage = { width: 1, height: 1 };
  /** Pixels of the screen for one of the picture. */
  scale = 1;
  /** What of the picture is at the middle of the stage. */
  centre = { x: 0.5, y: 0.5 };
  /** Follows the size of the stage. */
  fitted = true;

  get fitScale() {
    const { picture, stage } = this;
    const scale = Math.min(stage.width / picture.width, stage.height / picture.height, LARGEST_SCALE);
    // Pixels all of one size where a small picture is enlarged.
    return scale > 1 ? Math.floor(scale) : scale;
  }

  fit() {
    this.scale = this.fitScale;
    this.centre = { x: this.picture.width / 2, y: this.picture.height / 2 };
    this.fitted = true;
  }

  /** @param {number} width @param {number} height of the stage */
  resize(width, height) {
    this.stage = { width, height };
    if (this.fitted) this.fit();
    else this.#hold();
  }

  /**
   * Another picture; one of the same size stays where the last was, to compare.
   *
   * @param {number} width
   * @param {number} height
   */
  show(width, height) {
    const same = width === this.picture.width && height === this.picture.height;
    this.picture = { width, height };
    if (!same) this.fit();
  }

  /** Around a point of the stage. @param {number} scale @param {number} [x] @param {number} [y] */
  zoom(scale, x = this.stage.width / 2, y = this.stage.height / 2) {
    const smallest = Math.min(this.fitScale, 1);
    const next = Math.min(Math.max(scale, smallest), LARGEST_SCALE);
    const away = 1 / this.scale - 1 / next;
    this.centre.x += (x - this.stage.width / 2) * away;
    this.centre.y += (y - this.stage.height / 2) * away;
    this.scale = next;
    this.fitted = next === this.fitScale;
    this.#hold();
  }

  /** @param {number} dx @param {number} dy */
  pan(dx, dy) {
    this.centre.x -= dx / this.scale;
    this.centre.y -= dy / this.scale;
    this.#hold();
  }

  get pannable() {
    const { picture, stage, scale } = this;
    return picture.width * scale > stage.width + 1 || picture.height * scale > stage.height + 1;
  }

  /** Whole pixels, so that at 100 % the screen shows the picture's own. */
  get origin() {
    const { stage, centre, scale } = this;
    return {
      x: Math.round(stage.width / 2 - centre.x * scale),
      y: Math.round(stage.height / 2 - centre.y * scale),
    };
  }

  /** The part of the stage that the picture covers. */
  get visible() {
    const { x, y } = this.origin;
    const left = Math.max(x, 0);
    const top = Math.max(y, 0);
    const right = Math.min(x + Math.round(this.picture.width * this.scale), this.stage.width);
    const bottom = Math.min(y + Math.round(this.picture.height * this.scale), this.stage.height);
    return { left, top, right, bottom, width: right - left, height: bottom - top };
  }

  /** The coarsest of the levels that still has a pixel for each of the screen. @param {{width: number}[]} levels */
  level(levels) {
    const onScreen = this.picture.width * this.scale;
    const enough = levels.findLastIndex(({ width }) => width >= onScreen - 1);
    return Math.max(enough, 0);
  }

  /** No border of the picture comes further in than that of the stage. */
  #hold() {
    const within = (centre, length, stage) => {
      const half = stage / this.scale / 2;
      return length <= 2 * half ? length / 2 : Math.min(Math.max(centre, half), length - half);
    };
    this.centre.x = within(this.centre.x, this.picture.width, this.stage.width);
    this.centre.y = within(this.centre.y, this.picture.height, this.stage.height);
  }
}
