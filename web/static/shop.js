// The basket without page loads. The server prices every order itself; what is reckoned here is only shown.
const menu = JSON.parse(document.getElementById("menu-data").textContent);
const form = document.getElementById("order-form");
const lines = form.querySelector("[data-lines]");
const template = document.getElementById("line");
const pizzas = new Map(menu.pizzas.map((pizza) => [pizza.id, pizza]));
const extras = new Map(menu.toppings.map((topping) => [topping.id, cents(topping.price)]));
const sizes = new Map(menu.sizes.map((size) => [size.id, size.name]));
const format = new Intl.NumberFormat("en-US", { style: "currency", currency: menu.currency });
const find = (name, within = form) => within.querySelector(`[data-${name}]`);

function cents(text) {
  return Math.round(Number(text) * 100);
}

function money(amount) {
  return format.format(amount / 100);
}

function quantityOf(line) {
  const typed = find("quantity", line).value;
  return /^[0-9]{1,2}$/.test(typed) ? Number(typed) : 0;
}

function priceOf(line) {
  const pizza = pizzas.get(find("pizza", line).value);
  const base = pizza && pizza.prices[find("size", line).value];
  if (!base) return 0;
  const chosen = [...line.querySelectorAll("[data-topping]:checked")];
  return (cents(base) + chosen.reduce((sum, box) => sum + extras.get(box.value), 0)) * quantityOf(line);
}

function show() {
  const all = [...lines.children];
  let subtotal = 0;
  let count = 0;
  for (const line of all) {
    const price = priceOf(line);
    find("line-total", line).textContent = money(price);
    subtotal += price;
    count += quantityOf(line);
  }
  const tax = Math.round(subtotal * Number(menu.tax));
  const total = money(subtotal + tax);
  find("empty").hidden = all.length > 0;
  find("totals").hidden = all.length === 0;
  find("total").textContent = total;
  if (find("subtotal")) find("subtotal").textContent = money(subtotal);
  if (find("tax")) find("tax").textContent = money(tax);
  find("send-total").textContent = count ? `· ${total}` : "";
  const bar = document.querySelector("[data-bar]");
  bar.hidden = count === 0 || orderInView;
  const words = `${count} ${count === 1 ? "pizza" : "pizzas"}, ${total}`;
  bar.querySelector("[data-bar-text]").textContent = words;
  return words;
}

function say(text) {
  find("said").textContent = text;
}

function nextNumber() {
  const used = [...lines.querySelectorAll("[data-pizza]")].map((field) => Number(field.name.split("-")[1]));
  return used.length ? Math.max(...used) + 1 : 0;
}

function plain(line) {
  return !line.querySelector("[data-topping]:checked") && !line.querySelector("[name$='-note']").value;
}

function hasRoom(line) {
  return quantityOf(line) < Number(find("quantity", line).max);
}

function add(choice) {
  const [id, size] = choice.split(":");
  const pizza = pizzas.get(id);
  const same = [...lines.children].find(
    (line) => find("pizza", line).value === id && find("size", line).value === size && plain(line) && hasRoom(line),
  );
  if (same) {
    find("quantity", same).value = quantityOf(same) + 1;
  } else {
    lines.append(newLine(pizza, size));
  }
  say(`${pizza.name}, ${sizes.get(size)}, added. ${show()}.`);
}

function newLine(pizza, size) {
  const line = template.content.firstElementChild.cloneNode(true);
  const number = nextNumber();
  for (const element of line.querySelectorAll("*")) {
    for (const name of ["id", "name", "for", "value"]) {
      const text = element.getAttribute(name);
      if (text && text.includes("NUMBER")) element.setAttribute(name, text.replace("NUMBER", number));
    }
  }
  for (const name of line.querySelectorAll("[data-name]")) name.textContent = pizza.name;
  find("pizza", line).value = pizza.id;
  find("quantity", line).value = 1;
  const left = Object.entries(pizza.prices).filter(([key]) => !pizza.sold_out_sizes.includes(key));
  const options = left.map(
    ([key, price]) => new Option(`${sizes.get(key)}, ${money(cents(price))}`, key, key === size, key === size),
  );
  find("size", line).replaceChildren(...options);
  return line;
}

function remove(line) {
  const next = line.nextElementSibling || line.previousElementSibling;
  const name = pizzas.get(find("pizza", line).value)?.name ?? "The pizza";
  line.remove();
  say(`${name} removed. ${show()}.`);
  (next ? find("remove", next) : document.getElementById("basket")).focus();
}

form.addEventListener("click", (event) => {
  const button = event.target.closest("[data-add], [data-remove]");
  if (!button) return;
  event.preventDefault();
  if ("add" in button.dataset) add(button.value);
  else remove(button.closest("[data-line]"));
});
form.addEventListener("input", show);
form.addEventListener("submit", (event) => {
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
  find("send").disabled = true;
});
// Coming back with the browser's button finds the form ready again; its key still makes the same order the same.
window.addEventListener("pageshow", () => {
  delete form.dataset.sent;
  find("send").disabled = false;
  show();
});

let orderInView = false;
new IntersectionObserver((entries) => {
  orderInView = entries.at(-1).isIntersecting;
  show();
}).observe(document.getElementById("order"));

show();
