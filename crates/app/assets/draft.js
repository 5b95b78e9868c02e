// The draft while a person works on it: counter, alternatives, keeping what was typed, messages when saving fails.
// What a person typed is never lost: it goes to the server every 2 s and, until the server has it, stays in this browser.
(() => {
  "use strict";
  const KEEP = "rejoinder-draft:";
  const SAVE_EVERY_MS = 2000;
  const COUNT_AFTER_MS = 150;
  const grouped = new Intl.NumberFormat("en-US");
  let timer = null;

  const field = () => document.getElementById("draft-text");
  const say = (text) => {
    const line = document.getElementById("said");
    if (line) line.textContent = text;
  };
  const note = (text) => {
    const line = document.getElementById("draft-saved");
    if (line) line.textContent = text;
  };
  const key = (form) => KEEP + form.dataset.suggestion;
  const keep = (form, text) => {
    try { localStorage.setItem(key(form), text); } catch { /* full or forbidden: the server still gets it */ }
  };
  const forget = (form) => {
    try { localStorage.removeItem(key(form)); } catch { /* nothing kept, nothing to forget */ }
  };

  function show(area, length) {
    const max = Number(area.dataset.max);
    const counter = document.getElementById("draft-count");
    counter.textContent = `${grouped.format(length)}/${grouped.format(max)}`;
    counter.classList.toggle("over", length > max);
  }

  // Where a platform weighs characters, the server counts: it knows the rule, and it judges by it in the end.
  let asked = null;
  function count(area) {
    asked?.abort();
    if (!area.dataset.count) {
      show(area, [...area.value].length);
      return;
    }
    const { signal } = (asked = new AbortController());
    setTimeout(async () => {
      if (signal.aborted || !area.isConnected) return;
      try {
        const body = new URLSearchParams(new FormData(area.form));
        const answer = await fetch(area.dataset.count, { method: "POST", body, redirect: "manual", signal });
        if (answer.ok && area.isConnected) show(area, (await answer.json()).length);
      } catch { /* the count stays as it was; whether the server can be reached is told by saving */ }
    }, COUNT_AFTER_MS);
  }

  async function save(form) {
    const text = form.elements.text.value;
    try {
      const answer = await fetch(form.dataset.autosave, {
        method: "POST",
        body: new URLSearchParams(new FormData(form)),
        redirect: "manual",
      });
      if (!answer.ok) throw new Error(String(answer.status));
      if (form.elements.text.value === text) forget(form);
      note("Kept just now");
      say("");
    } catch {
      note("Kept in this browser only");
      say("The server does not take the text at the moment. It is kept in this browser; sign in again in another tab if your session ended.");
      schedule();
    }
  }

  function schedule() {
    if (timer) return;
    timer = setTimeout(() => {
      timer = null;
      const area = field();
      if (area?.dataset.typed) save(area.form);
    }, SAVE_EVERY_MS);
  }

  const beacon = (form) => navigator.sendBeacon(form.dataset.autosave, new URLSearchParams(new FormData(form)));

  function saveNow(form) {
    clearTimeout(timer);
    timer = null;
    beacon(form);
  }

  // A text that never reached the server comes back into the field.
  function restore() {
    const area = field();
    if (!area || area.dataset.ready) return;
    area.dataset.ready = "yes";
    let kept = null;
    try { kept = localStorage.getItem(key(area.form)); } catch { /* none then */ }
    if (kept !== null && kept !== area.value) {
      area.value = kept;
      area.dataset.typed = "yes";
      note("Your text from before is back");
      schedule();
    }
    if (kept === area.value && !area.dataset.typed) forget(area.form);
    count(area);
  }

  document.addEventListener("input", (event) => {
    const area = event.target;
    if (area.id !== "draft-text") return;
    area.dataset.typed = "yes";
    count(area);
    keep(area.form, area.value);
    schedule();
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest(".alternative");
    if (!button) return;
    const area = field();
    // The text that stood there takes the button's place, so that nothing is lost by looking around.
    const before = area.value;
    area.value = button.dataset.text;
    button.dataset.text = before;
    button.title = before;
    area.dispatchEvent(new Event("input", { bubbles: true }));
  });

  document.addEventListener("visibilitychange", () => {
    const area = field();
    if (document.visibilityState === "hidden" && area?.dataset.typed) saveNow(area.form);
  });

  // Nothing of ours stays in the browser of somebody who signs out; the server gets the text first.
  document.addEventListener("submit", (event) => {
    if (!event.target.matches('form[action="/signout"]')) return;
    const area = field();
    if (area?.dataset.typed) {
      saveNow(area.form);
      delete area.dataset.typed;
    }
    try {
      for (const name of Object.keys(localStorage)) if (name.startsWith(KEEP)) localStorage.removeItem(name);
    } catch { /* nothing kept, nothing to forget */ }
  });

  document.addEventListener("htmx:beforeRequest", (event) => {
    const form = event.target.closest?.("#draft-form");
    if (form) {
      clearTimeout(timer);
      timer = null;
    }
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const form = event.target.closest?.("#draft-form");
    if (form && event.detail.successful) forget(form);
  });
  // An expired session answers with the sign-in page: it must not take the place of a pane with somebody's text.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr } = event.detail;
    if (xhr.responseURL && new URL(xhr.responseURL).pathname === "/signin") {
      event.detail.shouldSwap = false;
      say("Your session ended. Nothing was lost: sign in again in another tab, then repeat this.");
    } else if (timer && event.detail.target.contains(field())) {
      // The person goes on to another item within the 2 s. Where the field stays after all, the timer saves it and says so.
      beacon(field().form);
    }
  });
  document.addEventListener("htmx:responseError", (event) => {
    const status = event.detail.xhr.status;
    say(status === 401 || status === 403
      ? "Your session ended. Nothing was lost: sign in again in another tab, then repeat this."
      : `That did not work (error ${status}). Nothing was lost; try again in a moment.`);
  });
  document.addEventListener("htmx:sendError", () => say("The server cannot be reached. Nothing was lost; try again in a moment."));
  document.addEventListener("htmx:timeout", () => say("The server took too long. Look at the state here before you repeat it."));
  document.addEventListener("htmx:afterSettle", restore);
  document.addEventListener("DOMContentLoaded", restore);
})();
