/* The list of places: sorted, filtered, neighbours of one kind in one row, and a part at a time. */
"use strict";

const ROWS = 100;  // rows that are added at once
const NEAR = 512;  // pixels of the scene from the first place of a group to its others at most: two windows of the model

/** Groups of places with one sentence and one set of classes, in the order of `places`; each lies around its first. */
function groupPlaces(places) {
  const groups = [], cells = new Map();
  for (const place of places) {
    const [left, top, width, height] = place.extent, x = left + width / 2, y = top + height / 2;
    const kind = `${place.sentence}|${place.classes}|${place.changed}`, column = Math.floor(x / NEAR), row = Math.floor(y / NEAR);
    let home = null, least = NEAR;
    for (let i = -1; i <= 1; i++) for (let j = -1; j <= 1; j++)
      for (const group of cells.get(`${kind}|${column + i}|${row + j}`) || []) {
        const far = Math.hypot(group.x - x, group.y - y);
        if (far <= least) { home = group; least = far; }
      }
    if (home) { home.places.push(place); continue; }
    const group = {x, y, places: [place]}, key = `${kind}|${column}|${row}`;
    groups.push(group);
    cells.has(key) ? cells.get(key).push(group) : cells.set(key, [group]);
  }
  return groups.map(group => group.places);
}

const ORDERS = {
  area: ["largest first", (a, b) => b.pixels - a.pixels],
  sure: ["highest probability first", (a, b) => (b.probability ?? -1) - (a.probability ?? -1)],
  unsure: ["lowest probability first", (a, b) => (a.probability ?? 2) - (b.probability ?? 2)],
};

/** Builds the list; onSelect(number) is called on a click, onFilter(places) whenever other places are shown. */
function createPlaceList(data, onSelect, onFilter) {
  const kinds = [...new Set(data.places.flatMap(place => place.classes))].sort();
  const hasProbability = data.places.some(place => place.probability !== null);
  const order = h("select", {}, ...Object.entries(ORDERS).filter(([key]) => key === "area" || hasProbability)
    .map(([key, [text]]) => h("option", {value: key}, text)));
  const kind = h("select", {}, h("option", {value: ""}, "all"), ...kinds.map(name => h("option", {value: name}, name)));
  const area = h("input", {type: "number", min: 0, step: "any", placeholder: "0", inputmode: "decimal"});
  const sure = h("input", {type: "number", min: 0, max: 100, placeholder: "0", inputmode: "numeric"});
  const words = h("input", {type: "search", placeholder: "for example road"});
  const list = h("ol", {}), count = h("p", {class: "faint", role: "status"}), more = h("button", {type: "button", class: "plain", hidden: true});
  const filters = h("details", {class: "filters"}, h("summary", {}, "Sort and filter"), h("div", {class: "fields"},
    h("label", {}, "Order", order), kinds.length > 1 ? h("label", {}, "Class", kind) : null,
    h("label", {}, `Minimum area (${data.unit})`, area), hasProbability ? h("label", {}, "Minimum probability (%)", sure) : null,
    h("label", {}, "Words in the sentence", words)));
  const element = h("section", {class: "places", "aria-labelledby": "places-title"},
    h("h2", {id: "places-title"}, `Places (${data.places.length.toLocaleString("en")})`), filters, count, list, more);
  let groups = [], shown = 0, rows = new Map(), current = null, homes = new Map();

  function refresh() {
    const least = Number(area.value) || 0, percent = Number(sure.value) || 0, text = words.value.trim().toLowerCase();
    const kept = data.places.filter(place =>
      (!kind.value || place.classes.includes(kind.value)) && (place.area ?? place.pixels) >= least
      && (place.probability ?? 1) * 100 >= percent && place.sentence.toLowerCase().includes(text));
    const compare = ORDERS[order.value][1];
    groups = groupPlaces([...kept].sort(compare));
    homes = new Map(groups.flatMap((group, index) => group.map(place => [place.n, index])));
    list.replaceChildren();
    rows = new Map();
    shown = 0;
    addRows();
    const like = kept.length - groups.length;
    count.textContent = kept.length === 0 ? "No place matches."
      : `${kept.length.toLocaleString("en")} of ${data.places.length.toLocaleString("en")} places`
        + (like ? `, with similar neighbours grouped into ${groups.length.toLocaleString("en")} ${groups.length === 1 ? "row" : "rows"}` : "");
    onFilter(kept);
  }

  function addRows(until = shown + ROWS) {
    const part = groups.slice(shown, until);
    list.append(...part.map(group => row(group)));
    shown += part.length;
    more.hidden = shown >= groups.length;
    more.textContent = `Show more (${(groups.length - shown).toLocaleString("en")} left)`;
  }

  function row(group) {
    const item = h("li", {}, button(group[0]));
    if (group.length > 1) {
      const others = h("ol", {class: "others", hidden: true});
      const text = group.length === 2 ? "1 more like it" : `${(group.length - 1).toLocaleString("en")} more like it`;
      const toggle = h("button", {type: "button", class: "like", "aria-expanded": "false", onclick: () => open(others.hidden)}, text);
      const open = wanted => {
        if (!others.children.length) others.append(...group.slice(1).map(place => h("li", {}, button(place, true))));
        others.hidden = !wanted;
        toggle.setAttribute("aria-expanded", String(wanted));
      };
      item.open = open;
      item.append(toggle, others);
    }
    return item;
  }

  function button(place, short = false) {
    const facts = [place.changes, place.where, place.probability === null ? null : `change probability ${Math.round(100 * place.probability)}%`];
    const element = h("button", {type: "button", class: "place", onclick: () => onSelect(place.n)},
      h("b", {}, String(place.n)),
      short ? null : h("span", {}, place.sentence ? h("q", {}, place.sentence) : "The model wrote no sentence."),
      h("span", {class: "faint"}, facts.filter(Boolean).join(", ")),
      place.changed ? null : h("span", {class: "faint"}, "The model's change flag says that nothing changed; these figures come from the mask."));
    rows.set(place.n, element);
    return element;
  }

  /** Marks a place in the list, and brings it into view there. */
  function select(number) {
    current?.removeAttribute("aria-current");
    current = null;
    if (number === null || !homes.has(number)) return;
    const index = homes.get(number);
    if (index >= shown) addRows(index + 1);
    if (!rows.has(number)) list.children[index].open?.(true);
    current = rows.get(number);
    if (current.closest(".others")?.hidden) list.children[index].open(true);
    current.setAttribute("aria-current", "true");
    const box = current.getBoundingClientRect(), frame = list.getBoundingClientRect();
    if (box.top < frame.top || box.bottom > frame.bottom) list.scrollTop += box.top - frame.top - 40;
  }

  for (const field of [order, kind, area, sure, words]) field.addEventListener("input", refresh);
  more.addEventListener("click", () => addRows());
  list.addEventListener("keydown", event => {
    const all = [...list.querySelectorAll("button")].filter(one => one.offsetParent), here = all.indexOf(document.activeElement);
    const next = all[here + ({ArrowDown: 1, ArrowUp: -1}[event.key] || 0)];
    if (here >= 0 && next && next !== document.activeElement) { event.preventDefault(); next.focus(); }
  });
  return {element, select, refresh};
}
