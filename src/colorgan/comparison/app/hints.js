// Places color hints in the photo. Streamlit calls this at first, and again whenever the picture or the hints change.
const PALETTE = {
  skin: "#c99a7c", "dark skin": "#7a4f35", hair: "#4a3222", blond: "#b8924f", grass: "#5d7f3a", leaves: "#3f5f2f",
  sky: "#86aed0", sea: "#3a6a86", wood: "#8a5f3a", brick: "#96503c", sand: "#c2a878", khaki: "#8a8358",
  red: "#a3201f", rose: "#c77c8a", "navy blue": "#2b3a66", yellow: "#c9a227",
};
const GRAY = "keep";

export default function ({ data, parentElement: root, setTriggerValue }) {
  const find = (selector) => root.querySelector(selector);
  const [photo, image, aim, told] = [find(".photo"), find(".photo img"), find(".aim"), find(".told")];
  const [wheel, name] = [find("input[type=color]"), find("input[type=text]")];
  const [keep, pick, undo] = ["keep", "pick", "undo"].map((does) => find(`[data-does=${does}]`));
  const press = (button, on) => button.setAttribute("aria-pressed", String(on));
  const isPressed = (button) => button.getAttribute("aria-pressed") === "true";
  const say = (text) => { told.textContent = text; };
  const choose = (color, called) => {
    wheel.value = color;
    press(keep, false);
    say(`${called || color}: click something of this color.`);
  };
  const place = (across, down) => {
    if (isPressed(pick)) {
      press(pick, false);
      choose(colorAt(image, across, down));
      return;
    }
    say("Spreading the color ...");
    setTriggerValue("placed", { across, down, color: isPressed(keep) ? GRAY : wheel.value });
  };

  image.src = data.picture;
  for (const old of root.querySelectorAll(".mark")) old.remove();
  for (const { across, down, color } of data.marks) {
    const mark = document.createElement("span");
    Object.assign(mark.style, { left: `${100 * across}%`, top: `${100 * down}%`, background: color === GRAY ? "gray" : color });
    mark.className = "mark";
    photo.append(mark);
  }
  undo.disabled = !data.marks.length;
  say(data.marks.length ? `${data.marks.length} placed.` : "Choose a color, then click something of that color.");

  find(".palette").replaceChildren(...Object.entries(PALETTE).map(([called, color]) => {
    const swatch = document.createElement("button");
    Object.assign(swatch, { type: "button", title: called, onclick: () => choose(color, called) });
    swatch.setAttribute("aria-label", called);
    swatch.style.background = color;
    return swatch;
  }));
  wheel.oninput = () => choose(wheel.value);
  name.onchange = () => {
    const color = hexOf(name.value.trim());
    if (color) choose(color, name.value.trim());
    else say(`Unknown color: ${name.value}.`);
  };
  keep.onclick = () => {
    press(keep, !isPressed(keep));
    say(isPressed(keep) ? "Click what should stay gray." : "");
  };
  pick.onclick = () => {
    press(pick, !isPressed(pick));
    say(isPressed(pick) ? "Click the color to take." : "");
  };
  undo.onclick = () => setTriggerValue("undone", true);

  photo.onclick = (event) => {
    const box = image.getBoundingClientRect();
    place((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  };
  // By keyboard: the arrows move a circle, and Enter clicks.
  const at = (root.colorganAim ??= { across: 0.5, down: 0.5 });
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  photo.onkeydown = (event) => {
    if (event.key === "Enter") place(at.across, at.down);
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    at.across = Math.min(0.999, Math.max(0, at.across + 0.02 * step[0]));
    at.down = Math.min(0.999, Math.max(0, at.down + 0.02 * step[1]));
    Object.assign(aim.style, { left: `${100 * at.across}%`, top: `${100 * at.down}%` });
    aim.hidden = false;
  };
}

/** Returns the color of a picture at a point, as #rrggbb. */
function colorAt(image, across, down) {
  const canvas = Object.assign(document.createElement("canvas"), { width: image.naturalWidth, height: image.naturalHeight });
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const pixel = context.getImageData(Math.floor(across * canvas.width), Math.floor(down * canvas.height), 1, 1).data;
  return `#${[...pixel.slice(0, 3)].map((level) => level.toString(16).padStart(2, "0")).join("")}`;
}

/** Converts a CSS color to #rrggbb; empty if it is invalid. */
function hexOf(text) {
  if (!text || !CSS.supports("color", text)) return "";
  const context = document.createElement("canvas").getContext("2d");
  context.fillStyle = text;
  return /^#[0-9a-f]{6}$/i.test(context.fillStyle) ? context.fillStyle : "";
}
