/* The map of a pair or a scene: both dates under a slider, the mask over them, and the places. Needs Leaflet. */
"use strict";

const CELL = 80;  // pixels of the screen; places within one cell share a label
const SMALLEST_BOX = 10;  // pixels of the screen; smaller places have a label and no outline
const CALM = matchMedia("(prefers-reduced-motion: reduce)").matches;

/** An element; attributes whose value is null or false are left out. */
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter(child => child !== null && child !== undefined && child !== false));
  return element;
}

/** Coordinates of an image: x and y in its pixels, y down; at `maxZoom` one is a pixel of the screen. */
function pixelCrs(maxZoom, metres) {
  const unit = 1 / 2 ** maxZoom;
  return L.extend({}, L.CRS.Simple, {
    transformation: new L.Transformation(unit, 0, unit, 0),
    distance: (a, b) => Math.hypot(a.lng - b.lng, a.lat - b.lat) * (metres || 1),
  });
}

/** Tiles that the page holds itself; `find(column, row)` gives a data URI, or nothing. */
const HeldTiles = L.GridLayer.extend({
  initialize(find, options) { this._find = find; L.setOptions(this, options); },
  createTile(coords) {
    const uri = this._find(coords.x, coords.y);
    const tile = document.createElement(uri ? "img" : "div");
    if (uri) { tile.alt = ""; tile.src = uri; }
    return tile;
  },
});

/** The layers of both dates and the mask, and where they lie, from one of three kinds of source. */
function readSource(source, data) {
  const [width, height] = data.size, box = ([left, top, w, hh]) => L.latLngBounds([[top, left], [top + hh, left + w]]);
  if (source.kind === "tiles" && source.tiles.before.crs) {  // on Earth
    const [west, south, east, north] = source.tiles.before.bounds;
    return {
      crs: L.CRS.EPSG3857, bounds: L.latLngBounds([[south, west], [north, east]]), maxZoom: source.tiles.before.maxzoom + 3,
      boxOf: place => L.latLngBounds([[place.bounds[1], place.bounds[0]], [place.bounds[3], place.bounds[2]]]),
      layers: name => [tileLayer(source.tiles[name], name)],
    };
  }
  const whole = box([0, 0, width, height]);
  if (source.kind === "tiles") {
    const zoom = source.tiles.before.maxzoom;
    return {
      crs: pixelCrs(zoom, data.metres), bounds: whole, maxZoom: zoom + 3, boxOf: place => box(place.extent),
      layers: name => [tileLayer({...source.tiles[name], bounds: [0, 0, width, height]}, name)],
    };
  }
  const zoom = Math.max(0, Math.ceil(Math.log2(Math.max(width, height) / 256)));
  const picture = (name, uri) => L.imageOverlay(uri, box(source.box || [0, 0, width, height]), {pane: name, className: name});
  const fineFrom = Math.max(0, zoom - Math.ceil(Math.log2(source.factor || 1)));
  const held = (name, index) => new HeldTiles((x, y) => source.tiles[`${x}_${y}`]?.[index], {
    pane: name, tileSize: source.tileSize, bounds: whole, minNativeZoom: zoom, maxNativeZoom: zoom,
    minZoom: fineFrom, maxZoom: zoom + 3, className: name,
  });
  return {
    crs: pixelCrs(zoom, data.metres), bounds: whole, maxZoom: zoom + 3, boxOf: place => box(place.extent),
    // where there are tiles, the coarse mask makes room for theirs
    coarse: source.tiles && {mask: picture("mask", source.mask), rest: picture("mask", source.restOfMask), until: fineFrom},
    layers: name => [
      source[name] && !(name === "mask" && source.tiles) && picture(name, source[name]),
      source.tiles && held(name, ["before", "after", "mask"].indexOf(name)),
    ].filter(Boolean),
  };
}

function tileLayer(tiles, name) {
  const [west, south, east, north] = tiles.bounds;
  return L.tileLayer(tiles.tiles[0], {
    pane: name, className: name, bounds: [[south, west], [north, east]], minZoom: 0, maxZoom: 30,
    minNativeZoom: tiles.minzoom, maxNativeZoom: tiles.maxzoom, alt: "",
  });
}

/** Builds the map; returns an object with select(number), setPlaces(places) and the element. */
function createViewer(source, data, onSelect) {
  const element = h("div", {class: "map", role: "region", "aria-label": "Map of both images; use the arrow keys to move, plus and minus to zoom"});
  const stage = h("div", {class: "stage"}, element,
    h("span", {class: "tag before", "aria-hidden": "true"}, "before"), h("span", {class: "tag after", "aria-hidden": "true"}, "after"));
  const divider = h("div", {class: "divider", "aria-hidden": "true"});
  const split = h("input", {type: "range", min: 0, max: 100, value: 50, "aria-label": "Share of the map that shows the before image"});
  const opacity = h("input", {type: "range", min: 0, max: 100, value: 100, "aria-label": "Opacity of the change mask"});
  const names = h("input", {type: "checkbox", checked: true});
  const whole = h("button", {type: "button", class: "plain"}, "Whole image");
  const controls = h("div", {class: "controls"},
    h("label", {}, "Before", split, "After"), h("label", {}, "Changes", opacity),
    data.places.length ? h("label", {}, names, "Places") : null, whole);
  const view = {element: h("div", {class: "viewer"}, stage, controls), select, setPlaces, start};
  let map, places = [], boxes = new Map(), centres = new Map(), chosen = null, part = {};

  /** Starts the map; to be called once the element is in the document and has a size. */
  function start() {
    part = readSource(source, data);
    map = L.map(element, {
      crs: part.crs, maxZoom: part.maxZoom, zoomSnap: 0.25, zoomDelta: 1, attributionControl: false, maxBoundsViscosity: 0.5,
      zoomAnimation: !CALM, fadeAnimation: false, inertia: !CALM, preferCanvas: true,
    });
    for (const [name, level] of [["after", 200], ["before", 250], ["mask", 300], ["outlines", 400], ["chosen", 420], ["names", 450]])
      map.createPane(name).style.zIndex = level;
    for (const name of ["outlines", "chosen"]) map.getPane(name).style.pointerEvents = "none";
    for (const name of ["after", "before", "mask"]) for (const layer of part.layers(name)) layer.addTo(map);
    part.outlines = L.layerGroup().addTo(map);
    part.names = L.layerGroup().addTo(map);
    part.canvas = {outlines: L.canvas({pane: "outlines", padding: 0.2}), chosen: L.canvas({pane: "chosen", padding: 0.2})};
    part.chosen = L.layerGroup().addTo(map);
    if (data.metres) L.control.scale({imperial: false, position: "bottomleft"}).addTo(map);
    stage.append(divider);
    map.fitBounds(part.bounds);
    map.setMinZoom(Math.floor(map.getBoundsZoom(part.bounds)) - 1);
    map.setMaxBounds(part.bounds.pad(0.5));
    for (const place of data.places) boxes.set(place.n, part.boxOf(place));
    map.on("move zoomend resize", clip);
    map.on("zoomend", () => { centres.clear(); changeMask(); });
    map.on("moveend", () => { draw(); remember(); });
    new ResizeObserver(() => map.invalidateSize({animate: false})).observe(element);
    setPlaces(data.places);
    clip();
    fade();
    changeMask();
    recall();
  }

  function changeMask() {
    if (!part.coarse) return;
    const fine = Math.round(map.getZoom()) >= part.coarse.until;
    (fine ? part.coarse.mask : part.coarse.rest).remove();
    (fine ? part.coarse.rest : part.coarse.mask).addTo(map);
  }

  function clip() {
    const one = map.containerPointToLayerPoint([0, 0]), other = map.containerPointToLayerPoint(map.getSize());
    const x = one.x + (other.x - one.x) * split.value / 100;
    map.getPane("before").style.clipPath = `polygon(${one.x}px ${one.y}px, ${x}px ${one.y}px, ${x}px ${other.y}px, ${one.x}px ${other.y}px)`;
    divider.style.left = `${split.value}%`;
    split.setAttribute("aria-valuetext", `${split.value} percent before, ${100 - split.value} percent after`);
  }

  function fade() { map.getPane("mask").style.opacity = opacity.value / 100; }

  /** Draws outlines and labels of the places in view; those that lie close on the screen share a label. */
  function draw() {
    part.outlines.clearLayers();
    part.names.clearLayers();
    if (!names.checked) return;
    const zoom = map.getZoom(), inView = map.getBounds().pad(0.1), cells = new Map();
    for (const place of places) {
      const box = boxes.get(place.n);
      if (!inView.intersects(box)) continue;
      if (!centres.has(place.n)) centres.set(place.n, map.project(box.getCenter(), zoom));
      const at = centres.get(place.n), key = `${Math.floor(at.x / CELL)}_${Math.floor(at.y / CELL)}`;
      if (!cells.has(key)) cells.set(key, []);
      cells.get(key).push(place);
    }
    for (const group of cells.values()) {
      if (group.length > 1) { addCluster(group, zoom); continue; }
      const [place] = group, box = boxes.get(place.n);
      const wide = map.project(box.getSouthEast(), zoom).distanceTo(map.project(box.getNorthWest(), zoom));
      if (wide >= SMALLEST_BOX) outline(box, "#fff", 1.5, "outlines");
      label(corner(box), "one", String(place.n), `Place ${place.n}`, () => onSelect(place.n));
    }
  }

  function addCluster(group, zoom) {
    let x = 0, y = 0;
    const box = L.latLngBounds([]);
    for (const place of group) {
      const at = centres.get(place.n);
      x += at.x / group.length; y += at.y / group.length;
      box.extend(boxes.get(place.n));
    }
    const zoomIn = () => zoom >= part.maxZoom ? onSelect(group[0].n) : map.fitBounds(box.pad(0.1), {maxZoom: part.maxZoom});
    label(map.unproject([x, y], zoom), "many", group.length.toLocaleString("en"), `${group.length} places`, zoomIn);
  }

  function corner(box) {  // the upper left one on the screen
    const a = map.latLngToLayerPoint(box.getNorthWest()), b = map.latLngToLayerPoint(box.getSouthEast());
    return map.layerPointToLatLng([Math.min(a.x, b.x), Math.min(a.y, b.y)]);
  }

  function outline(box, colour, weight, pane) {
    for (const [color, width] of [["rgba(0,0,0,.6)", weight + 2], [colour, weight]])
      L.rectangle(box, {renderer: part.canvas[pane], color, weight: width, fill: false, interactive: false}).addTo(part[pane]);
  }

  function label(at, kind, text, title, action) {
    const icon = L.divIcon({className: `label ${kind}`, html: h("span", {}, text), iconSize: null});
    L.marker(at, {icon, pane: "names", keyboard: false, title}).on("click", action).addTo(part.names);
  }

  /** Shows a place, or with null the whole picture. */
  function select(number, {move = true} = {}) {
    const box = boxes.get(number);
    chosen = box ? number : null;
    part.chosen.clearLayers();
    if (box) outline(box, "#ffd60a", 4, "chosen");
    if (move) map.fitBounds(box ? box.pad(0.6) : part.bounds, {maxZoom: part.maxZoom - 2, animate: !CALM});
    remember();
  }

  /** Shows these places only. */
  function setPlaces(shown) { places = shown; if (map) draw(); }

  function remember() {
    const {lat, lng} = map.getCenter(), hash = new URLSearchParams({z: map.getZoom(), x: lng.toFixed(6), y: lat.toFixed(6)});
    if (chosen) hash.set("place", chosen);
    history.replaceState(history.state, "", `${location.href.split("#")[0]}#${hash}`);  // a mere # would be resolved against <base>
  }

  function recall() {
    const hash = new URLSearchParams(location.hash.slice(1)), number = Number(hash.get("place"));
    const at = ["z", "x", "y"].map(name => hash.has(name) ? Number(hash.get(name)) : NaN);
    const known = at.every(Number.isFinite);
    if (known) map.setView([at[2], at[1]], at[0], {animate: false});
    if (boxes.has(number)) onSelect(number, {move: !known});
    draw();
  }

  split.addEventListener("input", clip);
  opacity.addEventListener("input", fade);
  names.addEventListener("change", draw);
  whole.addEventListener("click", () => onSelect(null));
  divider.addEventListener("pointerdown", event => { divider.setPointerCapture(event.pointerId); event.preventDefault(); });
  divider.addEventListener("pointermove", event => {
    if (!divider.hasPointerCapture(event.pointerId)) return;
    const {left, width} = stage.getBoundingClientRect();
    split.value = 100 * (event.clientX - left) / width;
    clip();
  });
  return view;
}
