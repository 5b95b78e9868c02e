// Live updates: one event stream per browser, held by whichever tab has the lock; it tells the others. Events are
// hints (kind and id), so each tab fetches what it shows itself. Also the one place where countdowns tick.
(() => {
  "use strict";
  const team = document.body.dataset.team;
  if (!team) return;
  const name = `rejoinder-live:${team}`;
  const channel = new BroadcastChannel(name);
  const FLOCK_MS = 400;
  const COUNTS_MS = 2000;
  const fresh = new Set();
  let asked = [];
  let filling = null;
  let framing = null;
  let doubting = null;

  // An event that comes while the same part is being fetched: the answer on its way may be older, so it is fetched again.
  const again = new Map();
  function fire(element, event) {
    if (!element) return;
    if (element.classList.contains("htmx-request")) again.set(element.id, event);
    else element.dispatchEvent(new CustomEvent(event));
  }
  function fireAgain() {
    for (const [id, event] of [...again]) {
      again.delete(id);
      fire(document.getElementById(id), event);
    }
  }
  const editing = () => {
    const area = document.getElementById("draft-text");
    return Boolean(area && (area === document.activeElement || area.dataset.typed));
  };

  function announce(id) {
    fresh.add(id);
    showFresh();
  }

  function showFresh() {
    const button = document.getElementById("list-new");
    if (!button || fresh.size === 0) return;
    button.textContent = `${fresh.size} new`;
    button.hidden = false;
    fillEmptyList();
  }

  // Nothing stands in an empty list that could be pushed away; the first items come in a flock.
  function fillEmptyList() {
    if (document.querySelector(".row")) return;
    filling ??= setTimeout(() => {
      filling = null;
      if (!document.querySelector(".row")) document.getElementById("list-new")?.click();
    }, FLOCK_MS);
  }

  function refreshDraft() {
    const pane = document.getElementById("draft-pane");
    if (!editing()) return fire(pane, "draft-changed");
    const notice = document.getElementById("draft-changed");
    if (notice) notice.hidden = false;
  }

  function onItem(id) {
    const row = document.getElementById(`item-${id}`);
    if (row) fire(row, "row-changed");
    else announce(id);
    const thread = document.getElementById("thread");
    if (thread?.dataset.item === id) fire(thread, "thread-changed");
  }

  function onSuggestion(id) {
    fire(document.querySelector(`.row[data-suggestion="${id}"]`), "row-changed");
    const earlier = document.getElementById("earlier");
    if (earlier?.dataset.suggestion === id) fire(earlier, "earlier-changed");
    const pane = document.getElementById("draft-pane");
    if (!pane) return;
    // A pane without a suggestion may be waiting for its first one.
    if (!pane.dataset.suggestion || pane.dataset.suggestion === id) {
      refreshDraft();
      fire(document.getElementById(`item-${pane.dataset.item}`), "row-changed");
    }
  }

  // A card that somebody opened to disconnect stays as it is.
  function onIntegration() {
    const accounts = document.getElementById("accounts");
    if (accounts && !accounts.querySelector("details[open]")) fire(accounts, "accounts-changed");
  }

  // The bars of what is paused and the counts of the navigation: asked for once for a flock of changes.
  function refreshFrame(wait) {
    framing ??= setTimeout(() => {
      framing = null;
      fire(document.getElementById("pauses"), "frame-changed");
      fire(document.getElementById("nav-list"), "frame-changed");
    }, wait);
  }

  // A row that somebody writes in stays as it is.
  function refreshUncertain() {
    const list = document.getElementById("uncertain");
    if (!list || doubting) return;
    doubting = setTimeout(() => {
      doubting = null;
      const writing = [...list.querySelectorAll("input[type=url]")].some((field) => field.value !== "" || field === document.activeElement);
      if (!writing) fire(document.getElementById("uncertain"), "uncertain-changed");
    }, COUNTS_MS);
  }

  function onNotice() {
    fire(document.getElementById("notices"), "notices-changed");
    refreshFrame(0);
  }

  // What somebody is typing, or a link that is shown once, stays.
  function onMember() {
    const team = document.getElementById("team");
    if (!team || team.querySelector("details[open], [data-once]") || team.contains(document.activeElement)) return;
    const typed = [...team.querySelectorAll("input:not([type=hidden])")].some((field) => field.value !== field.defaultValue);
    if (!typed) fire(team, "team-changed");
  }

  function onChange({ kind, id }) {
    if (kind === "item") onItem(id);
    else if (kind === "suggestion") onSuggestion(id);
    else if (kind === "integration") onIntegration();
    else if (kind === "notice") onNotice();
    else if (kind === "member") onMember();
    if (kind === "suggestion") refreshUncertain();
    if (kind === "item" || kind === "integration" || kind === "suggestion") refreshFrame(COUNTS_MS);
  }

  // We may have missed something: look at everything that is on show again.
  function onReset() {
    if (!editing()) refreshDraft();
    fillEmptyList();
    refreshFrame(0);
    fire(document.getElementById("notices"), "notices-changed");
    onMember();
    refreshUncertain();
    fire(document.getElementById("thread"), "thread-changed");
    for (const row of document.querySelectorAll(".row")) {
      if (row.querySelector("[aria-current]")) fire(row, "row-changed");
    }
  }

  function lead() {
    return new Promise(() => {
      const source = new EventSource(`/api/teams/${team}/events`);
      const tell = (message) => {
        channel.postMessage(message);
        receive(message);
      };
      source.addEventListener("change", (event) => tell({ change: JSON.parse(event.data) }));
      source.addEventListener("reset", () => tell({ reset: true }));
      // Between the drawing of the page and this moment something may have happened, as after a break.
      source.addEventListener("open", () => tell({ reset: true }));
    });
  }

  function receive(message) {
    if (message.change) onChange(message.change);
    else onReset();
  }

  channel.addEventListener("message", (event) => receive(event.data));
  // The lock goes to the next tab when this one closes.
  navigator.locks?.request(name, lead);

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id !== "list") return;
    for (const id of asked) fresh.delete(id);
    asked = [];
    showFresh();
  });
  document.addEventListener("htmx:afterSettle", fireAgain);
  document.addEventListener("htmx:sendError", () => again.clear());
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.target.id === "list-new") asked = [...fresh];
  });
  // A part that looks again by itself and finds nothing new stays as it is: focus, selected words and scrolling too.
  function plain(element) {
    const copy = element.cloneNode(true);
    copy.removeAttribute("class");
    for (const moving of copy.querySelectorAll("time, .countdown")) moving.textContent = "";
    for (const area of copy.querySelectorAll("textarea")) area.removeAttribute("data-ready");
    return copy.outerHTML.replace(/\s+/g, " ");
  }
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { requestConfig, target, xhr } = event.detail;
    if (requestConfig.elt !== target || xhr.status !== 200) return;
    const next = new DOMParser().parseFromString(xhr.response, "text/html").getElementById(target.id);
    const same = next && plain(next) === plain(target);
    // The person began to type while the answer was on its way.
    const typing = target.id === "draft-pane" && editing();
    if (!same && !typing) return;
    event.detail.shouldSwap = false;
    if (same) setTimeout(fireAgain);
    else refreshDraft();
  });
  // A pane that looks again by itself must not take a text away from under the person.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.target.id === "draft-pane" && editing()) event.preventDefault();
  });

  setInterval(() => {
    for (const countdown of document.querySelectorAll(".countdown[data-until]")) {
      const seconds = Math.ceil((Date.parse(countdown.dataset.until) - Date.now()) / 1000);
      if (seconds > 0) {
        countdown.textContent = `Goes out in ${seconds} s.`;
      } else {
        countdown.textContent = "Going out.";
        countdown.removeAttribute("data-until");
        const earlier = countdown.closest("#earlier");
        if (earlier) fire(earlier, "earlier-changed");
        else refreshDraft();
      }
    }
  }, 500);
})();
