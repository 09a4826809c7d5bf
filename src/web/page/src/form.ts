// The form that starts a run: made of what the program says that it takes; what is wrong is said at the field.

import { ask, RefusedError, tell, words } from "./api";
import { byId, make, say } from "./dom";
import type { Field } from "./types";

const OPEN_GROUPS = ["Server", "Load", "Requests"];

type Input = HTMLInputElement | HTMLSelectElement;
const inputs = new Map<string, { field: Field; input: Input; error: HTMLElement }>();

function inputOf(field: Field, id: string): Input {
  if (field.flag) {
    const box = make("input", { type: "checkbox", id });
    box.checked = field.value === "true";
    return box;
  }
  if (field.choices.length > 0) {
    const options = field.value === null ? [make("option", { value: "" }, "by itself")] : [];
    const select = make("select", { id }, ...options, ...field.choices.map((word) => make("option", { value: word }, word)));
    select.value = field.value ?? "";
    return select;
  }
  const input = make("input", { id, type: field.secret ? "password" : "text", autocomplete: field.secret ? "new-password" : "off", spellcheck: "false", autocapitalize: "off" });
  input.value = field.value ?? "";
  return input;
}

function row(field: Field): HTMLElement {
  const id = `field-${field.name}`;
  const input = inputOf(field, id);
  const error = make("p", { id: `${id}-error`, class: "error" });
  const help = make("p", { id: `${id}-help`, class: "remark" }, field.help.replace(/ ?\[env:[^\]]*\]/, ""));
  input.setAttribute("aria-describedby", `${help.id} ${error.id}`);
  inputs.set(field.name, { field, input, error });
  const label = make("label", { for: id }, field.label);
  return make("div", { class: field.flag ? "field flag" : "field" }, label, input, help, error);
}

const valueOf = (field: Field, input: Input): string =>
  field.flag ? String((input as HTMLInputElement).checked) : input.value.trim();

/** What is other than on the command line. */
function options(): Record<string, string | null> {
  const given: Record<string, string | null> = {};
  for (const [name, { field, input }] of inputs) {
    const value = valueOf(field, input);
    if (value !== (field.value ?? "")) given[name] = value === "" ? null : value;
  }
  return given;
}

function clear(): void {
  say(byId("form-error"), "");
  for (const { input, error } of inputs.values()) {
    say(error, "");
    input.removeAttribute("aria-invalid");
  }
}

function refuse(error: unknown): void {
  const at = error instanceof RefusedError && error.refused.field ? inputs.get(error.refused.field) : undefined;
  if (!at) return say(byId("form-error"), words(error));
  say(at.error, words(error));
  at.input.setAttribute("aria-invalid", "true");
  at.input.closest("details")?.setAttribute("open", "");
  at.input.focus();
}

export async function build(started: (run: string) => void): Promise<void> {
  const form = byId<HTMLFormElement>("form");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    clear();
    const button = form.querySelector("button")!;
    button.disabled = true;
    say(button, "Starting …");
    try {
      started((await tell<{ run: string }>("api/runs", { options: options() })).run);
    } catch (error) {
      refuse(error);
    } finally {
      button.disabled = false;
      say(button, "Start");
    }
  });
  const { fields } = await ask<{ fields: Field[] }>("api/form");
  const groups = new Map<string, HTMLElement[]>();
  for (const field of fields) groups.set(field.group, [...(groups.get(field.group) ?? []), row(field)]);
  const parts = [...groups].map(([name, rows]) => {
    const body = make("div", { class: "grid" }, ...rows);
    return OPEN_GROUPS.includes(name)
      ? make("fieldset", {}, make("legend", {}, name), body)
      : make("details", { class: "more" }, make("summary", {}, name), body);
  });
  byId("fields").replaceChildren(...parts);
}
