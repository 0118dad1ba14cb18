/* The page: form, progress, result and errors. All requests go to addresses below that of this page. */
"use strict";

const find = id => document.getElementById(id);
const form = find("form"), inputs = {before: find("before"), after: find("after")};
const PARTS = ["form", "progress", "report"];
const STEPS = {windows: "Looking for changes", places: "Describing places", map: "Preparing the map"};
let jobId = (location.pathname.match(/\/jobs\/([\w-]+)\/page$/) || [])[1] || null;
let upload = null, timer = null;

/** Shows one part of the page and hides the others. */
function show(part) {
  for (const name of PARTS) find(name).hidden = name !== part;
  find("again").hidden = part !== "report";
  find("share").hidden = part !== "report";
}

function fail(text) {
  find("problem").textContent = text;
  find("problem").hidden = false;
}

function headers() {
  const token = find("token").value || sessionStorage.getItem("token") || "";
  if (token) sessionStorage.setItem("token", token);
  return token ? {Authorization: `Bearer ${token}`} : {};
}

/** JSON from the service; an error has the text of its problem document. */
async function ask(address, options = {}) {
  let answer;
  try { answer = await fetch(address, options); }
  catch { throw new Error("The service does not answer; is it running?"); }
  if (answer.status === 204) return null;
  const content = await answer.json().catch(() => null);
  if (!answer.ok) throw Object.assign(new Error(content?.detail || `The service answered ${answer.status}.`), {status: answer.status});
  return content;
}

/** Sends the form; the browser reports how much has gone. */
function send() {
  const body = new FormData();
  for (const role of ["before", "after"]) body.append(role, inputs[role].files[0]);
  for (const [name, value] of new FormData(form)) if (typeof value === "string" && value) body.append(name, value);
  return new Promise((resolve, reject) => {
    upload = new XMLHttpRequest();
    upload.open("POST", "v1/jobs");
    for (const [name, value] of Object.entries(headers())) upload.setRequestHeader(name, value);
    upload.upload.onprogress = event => event.lengthComputable && progress("Sending the images", 100 * event.loaded / event.total);
    upload.onload = () => {
      let content = null;
      try { content = JSON.parse(upload.responseText); } catch { /* the status says enough */ }
      upload.status === 201 ? resolve(content) : reject(new Error(content?.detail || `The service answered ${upload.status}.`));
    };
    upload.onerror = () => reject(new Error("The images did not reach the service; try again."));
    upload.onabort = () => reject(null);
    upload.responseType = "text";
    upload.send(body);
  });
}

function progress(text, percent = null) {
  find("step").textContent = percent === null ? text : `${text}, ${Math.floor(percent)}%`;
  percent === null ? find("bar").removeAttribute("value") : find("bar").value = percent;
}

function lasts(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 90) return `, about ${Math.max(1, seconds)} s left`;
  return seconds < 5400 ? `, about ${Math.round(seconds / 60)} min left` : `, about ${(seconds / 3600).toFixed(1)} h left`;
}

/** Asks for the job's state until it has ended. */
async function follow() {
  let status;
  try { status = await ask(`v1/jobs/${jobId}`); }
  catch (error) {
    if (error.status) { leave(error.message); return; }
    progress("The service does not answer; trying again");  // the job lives on
    timer = setTimeout(follow, 3000);
    return;
  }
  if (status.status === "failed") { leave(status.message); return; }
  if (status.status === "successful") { await result(status); return; }
  if (status.status === "accepted") progress("Waiting in the queue");
  else if (!status.total) progress("Reading the images");
  else progress(`${STEPS[status.step] || status.step}: ${status.done.toLocaleString("en")} of ${status.total.toLocaleString("en")}${lasts(status.eta_seconds)}`, status.progress);
  timer = setTimeout(follow, 700);
}

/** Returns to the form and says what went wrong. */
function leave(text) {
  clearTimeout(timer);
  jobId = null;
  history.replaceState(null, "", document.baseURI);
  show("form");
  if (text) fail(text);
}

async function result(status) {
  try {
    const base = `v1/jobs/${jobId}`, data = await ask(`${base}/viewer`);
    let source = {kind: "images", before: `${base}/images/before.png`, after: `${base}/images/after.png`};
    if (status.kind === "scene") {
      const layers = await Promise.all(["before", "after", "mask"].map(layer => ask(`${base}/tiles/${layer}`)));
      source = {kind: "tiles", tiles: {before: layers[0], after: layers[1], mask: layers[2]}};
    } else if (data.rows.length) source.mask = `${base}/images/mask.png`;
    show("report");
    showReport(find("report"), data, source, status.files.map(name => [name, `${base}/files/${name}`]));
    document.title = `${data.sentence.slice(0, 80)} – Semantic-CC`;
  } catch (error) { leave(error.message); }
}

function choose(files, role) {
  const chosen = [...files].sort((a, b) => a.name.localeCompare(b.name));
  const roles = chosen.length > 1 ? ["before", "after"] : [role];
  roles.forEach((name, index) => {
    const one = new DataTransfer();
    one.items.add(chosen[index]);
    inputs[name].files = one.files;
    preview(name);
  });
}

/** Shows name and size, and the image if the browser can read it. */
function preview(role) {
  const place = document.querySelector(`.drop[data-role=${role}]`), file = inputs[role].files[0];
  place.querySelector("img")?.remove();
  const text = place.querySelector("span");
  text.textContent = file ? `${file.name}, ${file.size < 1e6 ? `${Math.ceil(file.size / 1e3)} kB` : `${(file.size / 1e6).toFixed(1)} MB`}` : "Choose a file, or drop it here";
  if (!file || !/^image\/(png|jpeg|webp|gif|bmp)$/.test(file.type) || file.size > 3e7) return;
  const picture = h("img", {alt: `The ${role} image`, src: URL.createObjectURL(file)});
  picture.addEventListener("load", () => URL.revokeObjectURL(picture.src));
  picture.addEventListener("error", () => picture.remove());
  place.append(picture);
}

async function limits() {
  try {
    const {limits: all, token_needed: token, model} = await ask("v1/limits");
    find("tokenfield").hidden = !token;
    const size = all.upload_bytes.value / 2 ** 20, pixels = all.image_pixels.value / 1e6;
    find("limits").textContent = `Model ${model.name}. Up to ${size.toLocaleString("en")} MiB for both images together, and ${pixels.toLocaleString("en")} million pixels each. `
      + `Results are removed after ${Math.round(all.keep_seconds.value / 86400)} days. Anyone who has the address of a result can see it.`;
  } catch (error) { fail(error.message); }
}

form.addEventListener("submit", async event => {
  event.preventDefault();
  find("problem").hidden = true;
  show("progress");
  progress("Sending the images");
  try {
    const job = await send();
    jobId = job.jobID;
    history.pushState(null, "", `jobs/${jobId}/page`);
    await follow();
  } catch (error) { leave(error ? error.message : null); }
});

find("cancel").addEventListener("click", async () => {
  clearTimeout(timer);
  if (jobId) await ask(`v1/jobs/${jobId}`, {method: "DELETE", headers: headers()}).catch(error => fail(error.message));
  else upload?.abort();
  leave(null);
});

find("example").addEventListener("click", async () => {
  find("problem").hidden = true;
  try {
    const files = await Promise.all(["before", "after"].map(async name => {
      const answer = await fetch(`example/${name}.png`);
      if (!answer.ok) throw new Error("The example pair is missing.");
      return new File([await answer.blob()], `${name}.png`, {type: "image/png"});
    }));
    choose([files[0]], "before");
    choose([files[1]], "after");
    find("send").focus();
  } catch (error) { fail(error.message); }
});

find("share").addEventListener("click", async () => {
  try { await navigator.clipboard.writeText(location.href); find("share").textContent = "Link copied"; }
  catch { prompt("The address of this result:", location.href); }
  setTimeout(() => { find("share").textContent = "Copy link"; }, 3000);
});

for (const role of ["before", "after"]) {
  const place = document.querySelector(`.drop[data-role=${role}]`);
  inputs[role].addEventListener("change", () => inputs[role].files.length > 1 ? choose(inputs[role].files, role) : preview(role));
  place.addEventListener("dragover", event => { event.preventDefault(); place.classList.add("over"); });
  place.addEventListener("dragleave", () => place.classList.remove("over"));
  place.addEventListener("drop", event => {
    event.preventDefault();
    place.classList.remove("over");
    if (event.dataTransfer.files.length) choose(event.dataTransfer.files, role);
  });
}
addEventListener("popstate", () => location.reload());

limits();
if (jobId) { show("progress"); progress("Loading the result"); follow(); } else show("form");
