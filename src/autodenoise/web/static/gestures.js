/* Mouse, touch and keyboard input of the viewer. */

const STEP = 1.25;
const DIVIDER_STEP = 0.05;
const PAN_STEP = 60;

/**
 * @param {HTMLElement} stage
 * @param {HTMLCanvasElement} canvas
 * @param {import("./viewer.js").Viewer} viewer
 */
export function gestures(stage, canvas, viewer) {
  /** Position in device pixels, relative to the canvas. */
  const position = ({ clientX, clientY }) => {
    const box = canvas.getBoundingClientRect();
    const ratio = window.devicePixelRatio;
    return { x: (clientX - box.left) * ratio, y: (clientY - box.top) * ratio };
  };
  pointers(canvas, viewer, position);

  // On the stage, so that it also works above the divider.
  stage.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 20 : 1;
      // Touchpads report a pinch as small wheel steps with Ctrl.
      const delta = Math.min(Math.max(event.deltaY * lines * (event.ctrlKey ? 5 : 1), -240), 240);
      const { x, y } = position(event);
      viewer.zoom(viewer.view.scale * Math.exp(-delta / 450), x, y);
    },
    { passive: false },
  );

  canvas.addEventListener("dblclick", (event) => {
    const { x, y } = position(event);
    const { view } = viewer;
    if (view.fitted && view.scale !== 1) viewer.zoom(1, x, y);
    else viewer.fit();
  });

  const step = PAN_STEP * window.devicePixelRatio;
  const { view } = viewer;
  /** @type {Record<string, () => void>} */
  const keys = {
    "+": () => viewer.zoom(view.scale * STEP),
    "=": () => viewer.zoom(view.scale * STEP),
    "-": () => viewer.zoom(view.scale / STEP),
    0: () => viewer.fit(),
    1: () => viewer.zoom(1),
    ArrowLeft: () => viewer.pan(step, 0),
    ArrowRight: () => viewer.pan(-step, 0),
    ArrowUp: () => viewer.pan(0, step),
    ArrowDown: () => viewer.pan(0, -step),
    "[": () => viewer.moveDivider(viewer.split - DIVIDER_STEP),
    "]": () => viewer.moveDivider(viewer.split + DIVIDER_STEP),
    d: () => viewer.dispatchEvent(new Event("difference")),
    " ": () => {
      viewer.peeking = true;
    },
  };
  canvas.addEventListener("keydown", (event) => {
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
  canvas.addEventListener("keyup", (event) => {
    if (event.key === " ") viewer.peeking = false;
  });
  canvas.addEventListener("blur", () => {
    viewer.peeking = false;
  });
}

/** One pointer pans; two zoom around their midpoint. */
function pointers(canvas, viewer, position) {
  /** @type {Map<number, {x: number, y: number}>} */
  const down = new Map();
  const midpoint = () => {
    const points = [...down.values()];
    const x = points.reduce((sum, point) => sum + point.x, 0) / points.length;
    const y = points.reduce((sum, point) => sum + point.y, 0) / points.length;
    const distance = points.length > 1 ? Math.hypot(points[0].x - points[1].x, points[0].y - points[1].y) : 1;
    return { x, y, distance: Math.max(distance, 1) };
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || down.size === 2) return;
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, position(event));
    canvas.classList.add("grabbed");
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!down.has(event.pointerId)) return;
    const last = midpoint();
    down.set(event.pointerId, position(event));
    const now = midpoint();
    viewer.pan(now.x - last.x, now.y - last.y);
    if (down.size > 1) viewer.zoom((viewer.view.scale * now.distance) / last.distance, now.x, now.y);
  });
  const up = (event) => {
    down.delete(event.pointerId);
    if (!down.size) canvas.classList.remove("grabbed");
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
}
