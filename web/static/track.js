// Follows an order. The server draws the page's changing part; this only tells it when to.
const page = document.querySelector("[data-order]");
const part = document.getElementById("progress");
const said = page.querySelector("[data-said]");
const away = page.querySelector("[data-away]");
const last = new Set(["delivered", "cancelled"]);
const shown = () => part.querySelector("[data-status]").dataset.status;

let drawing = Promise.resolve();

async function draw() {
  const answer = await fetch(page.dataset.progress, { cache: "no-store" });
  if (!answer.ok) throw new Error(answer.status);
  const focused = part.contains(document.activeElement);
  const before = shown();
  part.innerHTML = await answer.text();
  const headline = part.querySelector("[data-headline]");
  if (focused) headline.focus();
  if (shown() !== before) said.textContent = headline.textContent;
}

function redraw() {
  drawing = drawing.then(draw).catch(() => setTimeout(redraw, 2000));
}

if (!last.has(shown())) {
  const stream = new EventSource(page.dataset.stream);
  stream.addEventListener("status", (event) => {
    away.hidden = true;
    const { status } = JSON.parse(event.data);
    if (status !== shown()) redraw();
    if (last.has(status)) stream.close();
  });
  stream.addEventListener("open", () => (away.hidden = true));
  stream.addEventListener("error", () => (away.hidden = last.has(shown())));
}
