// Leafing through the epochs: the slider, the two buttons, or the arrow keys anywhere on the page.
const slider = document.getElementById("epoch");
if (slider) {
  const pictures = [...document.querySelectorAll("img[data-epoch]")];
  const shown = document.getElementById("shown");
  const show = (index) => {
    slider.value = Math.max(0, Math.min(pictures.length - 1, index));
    pictures.forEach((picture, i) => { picture.hidden = i !== Number(slider.value); });
    const epoch = pictures[slider.value].dataset.epoch;
    shown.textContent = epoch === "0" ? "Epoch: 0 (start)" : `Epoch: ${epoch}`;
    slider.setAttribute("aria-valuetext", shown.textContent);
  };
  const step = (by) => show(Number(slider.value) + by);
  slider.addEventListener("input", () => step(0));
  document.getElementById("earlier").addEventListener("click", () => step(-1));
  document.getElementById("later").addEventListener("click", () => step(1));
  document.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || event.target === slider || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.target.closest(".wide")) return; // there the arrows scroll a table
    event.preventDefault();
    step(by);
  });
  document.getElementById("leafing").hidden = pictures.length < 2;
  show(pictures.length - 1);
}
