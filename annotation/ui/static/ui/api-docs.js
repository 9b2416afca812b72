// Swagger UI has colors for the night of its own, under a class: it follows the theme that theme.js shows.
(() => {
  const root = document.documentElement;
  const night = matchMedia("(prefers-color-scheme: dark)");
  const show = () => root.classList.toggle("dark-mode", root.dataset.theme ? root.dataset.theme === "dark" : night.matches);
  show();
  night.addEventListener("change", show);
  new MutationObserver(show).observe(root, { attributeFilter: ["data-theme"] });
})();
