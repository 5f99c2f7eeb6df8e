"use strict";

const one = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

function compare() {
  const stage = one(".stage");
  const divider = one("#divider");
  const move = () => {
    const at = Number(divider.value);
    stage.style.setProperty("--at", `${at}%`);
    // Hide a label with its image.
    one(".tag.before").style.opacity = at < 12 ? 0 : 1;
    one(".tag.now").style.opacity = at > 88 ? 0 : 1;
    divider.setAttribute("aria-valuetext", `left ${at} % noisy, right ${100 - at} % denoised`);
  };
  const choose = (radio) => {
    for (const kind of ["noisy", "denoised", "{{ third }}"]) {
      const shown = one(`#${kind}`);
      shown.src = one(`.${kind}`, radio.parentElement).src;
      shown.alt = `${kind}: ${radio.dataset.name}`;
    }
    one("#chosen").textContent = radio.dataset.caption;
  };
  divider.addEventListener("input", move);
  for (const radio of all(".strip input")) {
    radio.addEventListener("change", () => choose(radio));
  }
  // A browser may restore the previous choice when it reloads the page.
  move();
  choose(one(".strip input:checked"));
}

/* Shows the losses of the epoch nearest to the pointer, from the table. */
function readOut(chart) {
  const drawing = one("svg", chart);
  const guide = drawing.appendChild(document.createElementNS(drawing.namespaceURI, "line"));
  guide.classList.add("guide");
  const readout = one(".readout", chart);
  const resting = readout.textContent;
  const rows = one("tbody", chart).rows;
  const [first, last] = chart.dataset.epochs.split(" ").map(Number);
  const field = one(".field", drawing).getBBox();
  const places = [...rows].map(
    (_, index) => field.x + ((index + 1 - first) / (last - first)) * field.width,
  );
  guide.setAttribute("y1", field.y);
  guide.setAttribute("y2", field.y + field.height);
  const leave = () => {
    guide.setAttribute("visibility", "hidden");
    readout.textContent = resting;
  };
  drawing.addEventListener("pointermove", (event) => {
    const here = new DOMPoint(event.clientX, event.clientY);
    const { x } = here.matrixTransform(drawing.getScreenCTM().inverse());
    const distances = places.map((place) => Math.abs(place - x));
    const nearest = distances.indexOf(Math.min(...distances));
    guide.setAttribute("visibility", "visible");
    guide.setAttribute("x1", places[nearest]);
    guide.setAttribute("x2", places[nearest]);
    const [epoch, loss, valLoss, printed] = [...rows[nearest].cells].map((c) => c.textContent);
    const source = printed === "–" ? "" : `, published ${printed}`;
    readout.textContent = `Epoch ${epoch}: training ${loss}, validation ${valLoss}${source}`;
  });
  drawing.addEventListener("pointerleave", leave);
  leave();
}

compare();
all(".phase .chart").forEach(readOut);
