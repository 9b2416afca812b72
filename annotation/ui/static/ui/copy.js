// Copies what is shown once. Without a clipboard (a page by plain http from elsewhere) there is no button, and the text is selected by hand.
for (const button of navigator.clipboard ? document.querySelectorAll("[data-copy]") : []) {
  button.hidden = false;
  button.addEventListener("click", () => {
    navigator.clipboard.writeText(button.dataset.copy).then(() => { button.textContent = button.dataset.copied; }, () => { button.hidden = true; });
  });
}
