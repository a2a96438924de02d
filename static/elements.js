// Makes what the modules put into a page.

const symbols = new URL("icons.svg", import.meta.url).pathname;

export function element(tag, facts) {
  return Object.assign(document.createElement(tag), facts);
}

// Nothing of it is loaded before it is in the page.
export function parsed(innerHTML) {
  return element("template", { innerHTML }).content.firstElementChild;
}

export function icon(name) {
  return parsed(`<svg class="i" aria-hidden="true"><use href="${symbols}#${name}"/></svg>`);
}
