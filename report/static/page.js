// Everything on the page works without this file; it makes some of it quicker.
(() => {
  "use strict";
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];

  // Menus: only one is open, and Escape or a click elsewhere closes it.
  const menus = all(".menu");
  for (const menu of menus) {
    menu.addEventListener("toggle", () => {
      if (menu.open) menus.forEach((other) => { if (other !== menu) other.open = false; });
    });
    menu.addEventListener("keydown", (e) => {
      if (e.key === "Escape" && menu.open) { menu.open = false; menu.querySelector("summary").focus(); }
    });
  }
  for (const list of all(".menu, .people")) {
    const boxes = all("input[type=checkbox]", list);
    const count = list.querySelector(".count[data-none]");
    if (count && boxes.length) {
      const tell = () => { count.textContent = boxes.filter((b) => b.checked).length || count.dataset.none; };
      list.addEventListener("change", tell);
      window.addEventListener("pageshow", tell); // the browser may have ticked boxes again
    }

    // A long list can be searched.
    if (boxes.length < 9) continue;
    const search = document.createElement("input");
    search.type = "search";
    search.placeholder = "Search";
    search.setAttribute("aria-label", "Search in this list");
    search.addEventListener("input", () => {
      const wanted = search.value.trim().toLowerCase();
      for (const box of boxes) box.parentElement.hidden = !box.parentElement.textContent.toLowerCase().includes(wanted);
      for (const set of all("fieldset", list)) set.hidden = !set.contains(search) && !all("label", set).some((l) => !l.hidden);
    });
    search.addEventListener("keydown", (e) => { if (e.key === "Enter") e.preventDefault(); });
    const panel = list.querySelector(".panel, fieldset");
    const legend = panel.querySelector(":scope > legend");
    if (legend) legend.after(search); else panel.prepend(search);
  }
  document.addEventListener("click", (e) => {
    menus.forEach((menu) => { if (menu.open && !menu.contains(e.target)) menu.open = false; });
  });

  // What is empty need not be in the address.
  for (const form of all("form[method=get]")) {
    form.addEventListener("submit", () => {
      const empty = all("input[name], select[name]", form).filter((c) => c.value === "" && !c.disabled);
      empty.forEach((c) => { c.disabled = true; });
      setTimeout(() => empty.forEach((c) => { c.disabled = false; }));
    });
  }

  // Ids and links can be copied.
  for (const button of all(".copy")) {
    if (!navigator.clipboard) break;
    button.hidden = false;
    const label = button.textContent;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(button.dataset.copy || location.href);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Not allowed";
      }
      setTimeout(() => { button.textContent = label; }, 2000);
    });
  }

  // A page on which something is under way looks again by itself.
  const again = document.querySelector("[data-reload]");
  if (again) setTimeout(() => { if (!document.hidden) location.reload(); }, again.dataset.reload * 1000);

  // Arrow keys go from event to event.
  document.addEventListener("keydown", (e) => {
    if ((e.key !== "ArrowDown" && e.key !== "ArrowUp") || e.altKey || e.ctrlKey || e.metaKey || e.shiftKey) return;
    const rows = all(".events summary").filter((s) => s.offsetParent !== null);
    const at = rows.indexOf(document.activeElement);
    const next = rows[at + (e.key === "ArrowDown" ? 1 : -1)];
    if (at < 0 || !next) return;
    e.preventDefault();
    next.focus();
  });
})();
