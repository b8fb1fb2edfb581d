// Says of a table that is wider than its place that it can be moved sideways.
for (const box of document.querySelectorAll(".wide")) {
  new ResizeObserver(() => box.classList.toggle("scrolls", box.scrollWidth > box.clientWidth)).observe(box);
}
