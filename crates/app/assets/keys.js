// The keyboard: the same actions that the buttons do, found by their data-key. Also dialogs and the list's selection.
(() => {
  "use strict";
  const rows = () => [...document.querySelectorAll(".row-link")];
  const current = () => document.querySelector(".row-link[aria-current]");
  const typing = (target) => target.matches?.("input:not([type=checkbox]), textarea, select");

  function move(step) {
    const all = rows();
    if (all.length === 0) return;
    const from = all.indexOf(document.activeElement?.closest?.(".row-link") ?? current());
    const next = all[Math.min(Math.max(from + step, 0), all.length - 1)];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
    next.click();
  }

  // The row that was chosen last, while its item is on its way. A row that changes meanwhile is another element of the same id.
  let wanted = null;

  function mark(link) {
    for (const row of rows()) {
      if (row === link) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
  }

  // Selecting cannot be refused, so it shows at once and the panes follow.
  function select(link) {
    wanted = link.id;
    mark(link);
  }

  // While an item is on its way the address still names the one before.
  function showSelection() {
    const item = new URLSearchParams(location.search).get("item");
    if (wanted === `open-${item}`) wanted = null;
    const link = document.getElementById(wanted ?? `open-${item}`);
    if (link) mark(link);
  }

  // Until the selected item is on show, the panes hold the one before: nobody decides on what they do not see.
  function onShow() {
    const row = current();
    const pane = document.getElementById("draft-pane");
    return !row || !pane || row.id === `open-${pane.dataset.item}`;
  }

  function act(key) {
    if (!onShow()) return false;
    const button = document.querySelector(`[data-key="${key}"]`);
    if (button) button.click();
    return Boolean(button);
  }

  function edit() {
    const area = document.getElementById("draft-text");
    if (!area || !onShow()) return false;
    area.focus();
    area.setSelectionRange(area.value.length, area.value.length);
    return true;
  }

  function onKey(event) {
    switch (event.key) {
      case "j": case "ArrowDown": move(1); return true;
      case "k": case "ArrowUp": move(-1); return true;
      case "e": return edit();
      case "a": case "r": case "u": return act(event.key);
      case "1": case "2": case "3": {
        const alternative = document.querySelectorAll(".alternative")[Number(event.key) - 1];
        if (!alternative || !onShow()) return false;
        alternative.click();
        return true;
      }
      case "/": document.getElementById("search")?.focus(); return true;
      case "?": document.getElementById("help").showModal(); return true;
      default: return false;
    }
  }

  document.addEventListener("keydown", (event) => {
    if (event.isComposing || document.querySelector("dialog[open]")) return;
    if (typing(event.target)) {
      if (event.key === "Escape") {
        event.target.blur();
        current()?.focus({ preventScroll: true });
      } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.id === "draft-text") {
        event.preventDefault();
        act("a");
      }
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // Arrows scroll where they stand in a scrolling region; in the list they move.
    const arrow = event.key.startsWith("Arrow");
    if (arrow && !event.target.closest?.(".list") && event.target !== document.body) return;
    if (onKey(event)) event.preventDefault();
  });

  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-opens]");
    if (opener) document.getElementById(opener.dataset.opens).showModal();
    const closer = event.target.closest("[data-closes]");
    if (closer) document.getElementById(closer.dataset.closes).close();
    const editLink = event.target.closest('a[data-key="e"]');
    if (editLink && edit()) event.preventDefault();
    const link = event.target.closest(".row-link");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) select(link);
  });
  // Somebody who walks on does not wait: an item that comes after they left it is not shown.
  // The place it was meant for may have left the page by then, so the place itself is listened to: nothing of it reaches the document.
  function refuseLate(event) {
    const { elt } = event.detail.requestConfig;
    if (elt.matches(".row-link") && elt.id !== wanted) event.detail.shouldSwap = false;
  }
  document.addEventListener("htmx:beforeRequest", (event) => {
    const { elt, target } = event.detail;
    if (elt.matches(".row-link")) target.addEventListener("htmx:beforeSwap", refuseLate);
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.elt.id !== wanted) return;
    wanted = null;
    showSelection();
  });
  document.addEventListener("htmx:afterSettle", showSelection);
})();
