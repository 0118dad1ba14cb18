/* The whole report: sentence, map, places, figures, files, warnings, origin. For report.html and the web page. */
"use strict";

/** Fills `root` with a report. `data` is what semantic_cc.scene.viewer_data makes, `files` are [name, address]. */
function showReport(root, data, source, files) {
  const announce = h("p", {class: "said", role: "status"});
  const choose = (number, how) => {
    viewer.select(number, how);
    list?.select(number);
    announce.textContent = number === null ? "Showing the whole image" : `Showing place ${number}`;
  };
  const viewer = createViewer(source, data, choose);
  const list = data.places.length ? createPlaceList(data, choose, viewer.setPlaces) : null;
  const legend = h("p", {class: "legend faint"}, ...data.rows.map(({name}) => h("span", {}, swatch(name), `changed ${name}`)),
    list ? h("span", {}, "Circles show the number of places; click one to zoom in.") : null);
  const images = h("section", {class: "images", "aria-label": "Images"}, viewer.element, legend,
    data.detail ? h("p", {class: "faint"}, data.detail) : null, announce);
  root.replaceChildren(
    h("header", {class: "answer"}, h("h1", {}, "What changed"), h("p", {}, data.sentence),
      data.flag ? h("p", {class: "faint"}, data.flag) : null),
    h("div", {class: list ? "main" : "main whole"}, images, list ? list.element : null),
    h("div", {class: "below"}, figures(data), filesSection(files), textSection("Warnings", data.warnings, "warnings"),
      data.notes.length ? textSection("Notes", data.notes, "notes") : null, origin(data)));
  list?.refresh();
  viewer.start();
  root.onkeydown = event => { if (event.key === "Escape") choose(null); };
}

function swatch(name) { return h("i", {class: `swatch ${name}`}); }

function figures(data) {
  const head = ["class", "changed", "area", `share of ${data.ground}`, "mean probability"];
  const keep = head.map((_, index) => index === 0 || data.rows.some(row => row.cells[index - 1] !== null));
  const cells = (row) => row.cells.map((text, index) => keep[index + 1] ? h("td", {class: "number"}, text ?? "–") : null);
  return h("section", {},
    h("div", {class: "scroll", tabindex: 0, role: "group", "aria-label": "Figures"}, h("table", {}, h("caption", {}, "Figures, measured in the mask"),
      h("thead", {}, h("tr", {}, ...head.map((text, index) => keep[index] ? h("th", {scope: "col", class: index ? "number" : null}, text) : null))),
      h("tbody", {}, ...data.rows.map(row => h("tr", {}, h("th", {scope: "row"}, swatch(row.name), row.name), ...cells(row)))))),
    data.places.length ? h("p", {class: "faint"}, "The model writes the quoted sentences. Counts and areas come from the mask: "
      + "each connected area counts once, so buildings that touch count as one.") : null);
}

function filesSection(files) {
  return h("section", {}, h("h2", {}, "Files"),
    h("ul", {class: "files"}, ...files.map(([name, href]) => h("li", {}, h("a", {href, download: name}, name)))));
}

function textSection(title, texts, kind) {
  return h("section", {}, h("h2", {}, title), texts.length
    ? h("ul", {class: kind}, ...texts.map(text => h("li", {}, text))) : h("p", {class: "faint"}, "None."));
}

function origin(data) {
  return h("section", {}, h("h2", {}, "About this result"),
    h("dl", {}, ...data.provenance.flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, text)])));
}
