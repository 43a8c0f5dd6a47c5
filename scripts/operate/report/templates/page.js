'use strict';
// Sorts, searches and filters the rows that the page has; without this script all of them are shown.
document.documentElement.classList.add('js');
addEventListener('DOMContentLoaded', () => {
  const PAGE = 50;
  const ORDER = 'fcnpseuikoml';
  const STATES = {
    attention: 'fcn', failing: 'fc', 'not-compared': 'n', 'in-sync': 'iu', lacking: 'fcnpseuko',
    'left-alone': 'pseko', 'put-back': 'p', excluded: 'e', own: 'ok', 'not-set': 'u', left: 'l',
  };
  // What a tile counts, it counts by the contact of an account that needs attention most.
  const COUNTED = ['failing', 'not-compared', 'in-sync', 'left-alone'];
  const UNIT = 1;
  const table = document.querySelector('.accounts');
  const body = document.getElementById('rows');
  const form = document.querySelector('.filters');
  const fields = form.elements;
  const pages = document.querySelector('.pages');
  const headers = [...table.tHead.rows[0].cells];
  const last = headers.length - 1;
  const rows = [...body.rows];
  const texts = new Map();
  const orders = new Map();
  const collator = new Intl.Collator(undefined, { numeric: true });
  let column = -1;
  let descending = false;
  let page = 0;
  let found = rows;

  // Most cells are in sync; those have no class, which keeps the page small.
  const letter = (cell) => cell.className || 'i';
  const lines = (text) => text.replace(/\s+/g, ' ').trim();
  const text = (row) => {
    if (!texts.has(row)) texts.set(row, row.textContent.toLowerCase());
    return texts.get(row);
  };

  // Whether the account's contact, or any of them, is in one of the states.
  function hasState(row) {
    if (fields.state.value === 'drifted') return row.dataset.drift?.includes(fields.type.value) ?? false;
    const letters = STATES[fields.state.value];
    if (!letters) return true;
    const type = fields.type.value;
    const states = type ? [letter(row.cells[type])] : [...row.cells].slice(2, last).map(letter);
    if (COUNTED.includes(fields.state.value)) {
      return letters.includes([...ORDER].find((state) => states.includes(state)) ?? 'o');
    }
    return states.some((state) => letters.includes(state));
  }

  // The rows in the order of a column, which is worked out once.
  function ordered() {
    if (column < 0) return rows;
    if (!orders.has(column)) {
      const keys = new Map(rows.map((row) => {
        const cell = row.cells[column];
        if (column > UNIT && column < last) {
          return [row, String.fromCharCode(97 + ORDER.indexOf(letter(cell))) + (cell.querySelector('i')?.textContent ?? '')];
        }
        return [row, lines(cell.textContent)];
      }));
      const compare = column > UNIT
        ? (a, b) => (a < b ? -1 : Number(a > b))
        : collator.compare;
      orders.set(column, [...rows].sort((a, b) => compare(keys.get(a), keys.get(b))));
    }
    return descending ? [...orders.get(column)].reverse() : orders.get(column);
  }

  function update() {
    const words = fields.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const unit = fields.unit.value;
    found = ordered().filter((row) => (!unit || lines(row.cells[UNIT].textContent) === lines(unit))
      && hasState(row) && words.every((word) => text(row).includes(word)));
    page = 0;
    show();
  }

  function show() {
    const some = found.slice(page * PAGE, (page + 1) * PAGE);
    for (const row of some) link(row);
    body.replaceChildren(...some);
    const many = (number) => number.toLocaleString('en');
    const range = found.length > PAGE ? `${many(page * PAGE + 1)} to ${many(page * PAGE + some.length)} of ` : '';
    document.querySelector('.shown').textContent = `${range}${many(found.length)} of ${many(rows.length)} accounts`
      .replace(/ of (\S+) of \1 /, ' of $1 ');
    pages.children[1].textContent = `${page + 1} / ${Math.max(1, Math.ceil(found.length / PAGE))}`;
    pages.children[0].disabled = page === 0;
    pages.children[2].disabled = (page + 1) * PAGE >= found.length;
  }

  // The ID of a row that is shown leads to the account in the console.
  function link(row) {
    const small = row.cells[0].querySelector('small');
    if (small.firstElementChild) return;
    const anchor = document.createElement('a');
    anchor.href = table.dataset.console + small.textContent;
    anchor.rel = 'noreferrer';
    anchor.textContent = small.textContent;
    small.replaceChildren(anchor);
  }

  function sort(by) {
    if (column !== by) descending = false;
    else if (!descending) descending = true;
    else [by, descending] = [-1, false];
    column = by;
    headers.forEach((header, index) => {
      header.removeAttribute('aria-sort');
      if (index === by) header.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
    });
    fields.order.value = String(column);
    update();
  }

  // An address with #state=…&type=… filters, one with an account's ID finds it, one of a run opens it.
  function follow() {
    const hash = decodeURIComponent(location.hash.slice(1));
    const target = document.getElementById(hash);
    if (target instanceof HTMLDetailsElement) target.open = true;
    const wanted = new URLSearchParams(/^\d{12}$/.test(hash) ? { search: hash } : hash);
    if (!['search', 'state', 'type'].some((name) => wanted.has(name))) return;
    form.reset();
    for (const [name, value] of wanted) if (fields[name]) fields[name].value = value;
    update();
    document.getElementById('accounts').scrollIntoView();
  }

  headers.forEach((header, index) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = header.textContent;
    button.addEventListener('click', () => sort(index));
    header.replaceChildren(button);
    fields.order.add(new Option(button.textContent, String(index)));
  });
  fields.order.add(new Option('What needs attention', '-1'), 0);
  fields.order.value = '-1';
  fields.order.addEventListener('change', () => { column = -2; sort(Number(fields.order.value)); });
  form.addEventListener('input', (event) => { if (event.target !== fields.order) update(); });
  form.addEventListener('submit', (event) => event.preventDefault());
  form.addEventListener('reset', () => setTimeout(() => { history.replaceState(null, '', '#accounts'); update(); }));
  pages.children[0].addEventListener('click', () => { page -= 1; show(); });
  pages.children[2].addEventListener('click', () => { page += 1; show(); });
  addEventListener('hashchange', follow);
  addEventListener('beforeprint', () => body.replaceChildren(...found));
  addEventListener('afterprint', show);
  show();
  body.classList.add('ready');
  follow();
});
