// Returns what is too wide, in words: the document, the page, or what is seen to stick out of its column. What scrolls
// or cuts its own content is looked at, and what is in it is not.
() => {
  const found = [];
  const main = document.querySelector("[data-testid=stMain]"), root = document.scrollingElement;
  if (root.scrollWidth > innerWidth) found.push(`document: ${root.scrollWidth} in ${innerWidth}`);
  if (main.scrollWidth > main.clientWidth) found.push(`page: ${main.scrollWidth} in ${main.clientWidth}`);

  const hasText = (one) => [...one.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  const paints = (one, style) =>
    hasText(one) ||
    /^(img|svg|canvas|input|button|textarea)$/i.test(one.tagName) ||
    style.borderRightWidth !== "0px" ||
    style.backgroundColor !== "rgba(0, 0, 0, 0)";
  const isSeen = (one, style) => style.visibility !== "hidden" && style.opacity !== "0" && paints(one, style);
  const look = (parent, name, box) => {
    for (const one of (parent.shadowRoot ?? parent).children) {
      const style = getComputedStyle(one), own = one.getBoundingClientRect();
      if (style.position === "fixed" || style.display === "none") continue;
      const isOut = own.width > 1 && own.height > 1 && (own.right > box.right + 1 || own.left < box.left - 1);
      if (isOut && isSeen(one, style)) {
        const what = `${one.dataset.testid || one.className || one.tagName} "${one.textContent.slice(0, 30)}"`;
        found.push(`${name}: ${what} from ${own.left} to ${own.right} in ${box.left} to ${box.right}`);
      } else if (style.overflowX === "visible") {
        look(one, name, box);
      }
    }
  };
  for (const column of document.querySelectorAll("[data-testid=stColumn], [data-testid=stMainBlockContainer]")) {
    const box = column.getBoundingClientRect();
    if (box.width) look(column, column.dataset.testid, box);
  }
  return found.slice(0, 12);
}
