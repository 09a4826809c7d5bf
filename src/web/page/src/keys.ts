// Keys for what is done often. They do nothing while somebody types, with other keys held down, or when they are switched off.

import { byId, make } from "./dom";

const OFF = "llmload-keys-off";

export type Keys = Record<string, [words: string, act: () => void]>;

const isTyping = (target: EventTarget | null) =>
  target instanceof HTMLElement && (target.isContentEditable || /^(input|select|textarea)$/i.test(target.tagName));

export function listen(keys: Keys): void {
  const help = byId<HTMLDialogElement>("help");
  const all: Keys = { ...keys, "?": ["this list", () => help.showModal()] };
  const on = byId<HTMLInputElement>("keys-on");
  on.checked = localStorage.getItem(OFF) === null;
  on.addEventListener("change", () => on.checked ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "1"));
  byId("help-button").addEventListener("click", () => help.showModal());
  byId("keys").replaceChildren(...Object.entries(all).map(([key, [words]]) =>
    make("div", {}, make("dt", {}, make("kbd", {}, key)), make("dd", {}, words))));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || help.open || !on.checked) return;
    const act = all[event.key];
    if (!act) return;
    event.preventDefault();
    act[1]();
  });
}
