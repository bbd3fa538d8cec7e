// Keeps the list of open orders fresh, unless somebody is about to use it.
const list = document.getElementById("orders");
const away = document.querySelector("[data-away]");
let drawn = "";

async function refresh() {
  try {
    const answer = await fetch(list.dataset.list, { cache: "no-store", headers: { Accept: "text/html" } });
    if (answer.redirected) return location.reload();
    if (!answer.ok) throw new Error(answer.status);
    const now = await answer.text();
    away.hidden = true;
    if (now !== drawn && !list.contains(document.activeElement)) {
      list.innerHTML = now;
      drawn = now;
    }
  } catch {
    away.hidden = false;
  }
}

setInterval(refresh, 5000);
