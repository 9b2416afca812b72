// Texts of scripts in the reader's language: the English text is the key, the page carries the translations as JSON.
const block = document.querySelector("script[data-translations]");
const translations = block ? JSON.parse(block.textContent) : {};

export const gettext = (text) => translations[text] ?? text;

/** One thing or several: English and German divide them alike. */
export const ngettext = (one, several, count) => (translations[one] ?? [one, several])[count === 1 ? 0 : 1];

/** The text with %(name)s filled in. */
export const interpolate = (text, values) => text.replace(/%\((\w+)\)s/g, (_all, name) => String(values[name]));
