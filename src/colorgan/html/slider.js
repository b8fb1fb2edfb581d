// Sliders between two pictures of each photo, and the switches that choose their rows; without switches these are the
// first and the last.
const switches = document.querySelector(".switches");
const sliders = [...document.querySelectorAll(".slider")].map((slider) => {
  const range = slider.querySelector("input");
  const layers = [...slider.querySelectorAll(".layer")];
  const chosen = (side) =>
    switches ? switches.querySelector(`input[name="${side}"]:checked`).value : layers.at(side === "left" ? 0 : -1).dataset.row;
  const layerOf = (row) => layers.find((layer) => layer.dataset.row === row) || layers[0];
  const place = () => {
    slider.style.setProperty("--at", `${range.value}%`);
    range.setAttribute("aria-valuetext", `${range.value}% of ${chosen("left")}, the rest of ${chosen("right")}`);
  };
  const show = () => {
    const [left, right] = [layerOf(chosen("left")), layerOf(chosen("right"))];
    for (const layer of layers) {
      layer.classList.toggle("left", layer === left);
      layer.classList.toggle("right", layer === right && right !== left);
    }
    if (right !== left) left.after(right); // the later one lies above
    slider.classList.toggle("same", right === left);
    place();
  };
  const follow = (event) => {
    const box = slider.getBoundingClientRect();
    range.value = Math.round((100 * (event.clientX - box.left)) / box.width);
    place();
  };
  slider.addEventListener("pointerdown", (event) => {
    slider.setPointerCapture(event.pointerId);
    range.focus({ preventScroll: true });
    follow(event);
  });
  slider.addEventListener("pointermove", (event) => {
    if (slider.hasPointerCapture(event.pointerId)) follow(event);
  });
  range.addEventListener("input", place);
  slider.classList.add("ready");
  range.hidden = false;
  return show;
});
if (switches) {
  switches.addEventListener("change", () => sliders.forEach((show) => show()));
  switches.hidden = false;
}
sliders.forEach((show) => show());
