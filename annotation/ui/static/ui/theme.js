// How the page looks to this person, before the first paint: theme and contrast as chosen here, else as the system says.
// And what every page has: menus that Escape and a click elsewhere close, rows of links that show the one at hand.
(() => {
  const root = document.documentElement;
  const wishes = { contrast: matchMedia("(prefers-contrast: more)") };
  const stored = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
  const keep = (name, value) => {
    try { if (value) localStorage.setItem(name, value); else localStorage.removeItem(name); } catch { /* private window */ }
  };
  const show = () => {
    root.dataset.theme = stored("theme") ?? "";
    root.dataset.contrast = stored("contrast") ?? (wishes.contrast.matches ? "more" : "");
  };
  const markChoices = () => {
    for (const input of document.querySelectorAll("[data-look]")) input.checked = input.value === (stored(input.name) ?? "");
  };
  show();
  wishes.contrast.addEventListener("change", show);
  document.addEventListener("DOMContentLoaded", markChoices);
  document.addEventListener("change", ({ target }) => {
    if (!target.matches("[data-look]")) return;
    keep(target.name, target.value);
    show();
  });
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const isDark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    keep("theme", isDark ? "light" : "dark");
    show();
    markChoices();
  });
  document.addEventListener("DOMContentLoaded", () => {
    for (const here of document.querySelectorAll("nav [aria-current]")) {
      const row = here.closest("ol, ul, nav"); // on a narrow screen it scrolls
      const { left, width } = here.getBoundingClientRect();
      row.scrollLeft += left - row.getBoundingClientRect().left - (row.clientWidth - width) / 2;
    }
  });
  const openMenus = () => [...document.querySelectorAll("details:is(.menu, .skip)[open]")];
  document.addEventListener("pointerdown", ({ target }) => {
    for (const menu of openMenus()) if (!menu.contains(target)) menu.open = false;
  });
  document.addEventListener("keydown", ({ key }) => {
    for (const menu of key === "Escape" ? openMenus() : []) {
      if (menu.contains(document.activeElement)) menu.querySelector("summary").focus();
      menu.open = false;
    }
  });
})();
