// Keeps the state of this frame, which the app reloads whenever one of its own sliders moves. It uses slider.js.
const kept = JSON.parse(sessionStorage.getItem("chosen") || "{}");
const position = document.querySelector(".slider input");
for (const input of document.querySelectorAll(".switches input")) {
  if (kept[input.name] === input.value) input.checked = true;
}
position.value = kept.at ?? position.value;
sliders.forEach((show) => show());
for (const event of ["change", "pointerup"]) {
  document.addEventListener(event, () => {
    const now = { left: chosen("left"), right: chosen("right"), at: position.value };
    sessionStorage.setItem("chosen", JSON.stringify(now));
  });
}
// Resizes the frame, and Streamlit's box around it, to the height of the content.
const { frameElement } = window;
if (frameElement) {
  const box = frameElement.closest("[data-testid=stElementContainer]");
  if (box) Object.assign(box.style, { flex: "none", height: "auto" });
  new ResizeObserver(() => { frameElement.style.height = `${document.body.offsetHeight}px`; }).observe(document.body);
}
