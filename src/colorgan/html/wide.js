// Marks tables that are wider than their container as scrollable.
for (const box of document.querySelectorAll(".wide")) {
  new ResizeObserver(() => box.classList.toggle("scrolls", box.scrollWidth > box.clientWidth)).observe(box);
}
