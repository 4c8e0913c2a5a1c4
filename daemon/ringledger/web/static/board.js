// The board follows the ledger: open calls by events, figures and extensions by asking again. A row is touched only
// when it changes; running times are counted here, once a second, while a daemon writes.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const { local, lasting } = window.ringledger;
  const statuses = { NoCall: "idle", Ringing: "ringing", CallConnected: "talking", OnHold: "on hold", ParkedCall: "parked" };
  const ways = { Inbound: "in", Outbound: "out" };
  const body = document.querySelector("[data-open] tbody");
  const template = document.querySelector("[data-row]").content.firstElementChild;
  const recent = document.querySelector("[data-recent] tbody");
  const rows = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  const names = new Map();
  for (const one of document.querySelectorAll("[data-extension]")) names.set(one.dataset.extension, one.querySelector(".name").textContent);
  const put = (place, text) => { if (place.textContent !== text) place.textContent = text; };
  const figure = (name, text) => put(document.querySelector(`[data-figure="${name}"]`), text);
  const many = (count) => count.toLocaleString("en-US");
  const party = (place, name, number, absent) => { // as the server writes it
    if (place.textContent === `${name ? `${name} ` : ""}${number || absent}`) return;
    const piece = (kind, text) => Object.assign(document.createElement("span"), { className: kind, textContent: text });
    place.replaceChildren(...(name ? [piece("name", name), " "] : []), piece(number ? "number" : "none", number || absent));
  };
  const { at, asOf } = document.querySelector("[data-open]").dataset;
  const ahead = Date.parse(at) - Date.now(); // of the server's clock
  const isStale = () => document.documentElement.dataset.state === "stale"; // nobody knows how long calls go on
  const now = () => (isStale() ? Date.parse(asOf) : Date.now() + ahead);

  const counted = () => {
    figure("open", many(rows.size));
    document.querySelector("[data-empty]").hidden = rows.size > 0;
  };
  const running = (row) => {
    const since = Date.parse(row.dataset.since);
    put(row.querySelector(".running"), lasting(Math.max(0, Math.round((now() - since) / 1000))).replace(".0 s", " s"));
  };
  const show = (call) => {
    const key = `${call.account_id}/${call.session_id}`;
    let row = rows.get(key);
    if (!row) {
      row = template.cloneNode(true);
      row.dataset.key = key;
      rows.set(key, row);
      body.append(row);
    }
    if (!row.querySelector("[data-cell]")) { // made by the server
      const fresh = template.cloneNode(true);
      fresh.dataset.key = key;
      row.replaceWith(fresh);
      rows.set(key, fresh);
      row = fresh;
    }
    const cell = (name) => row.querySelector(`[data-cell="${name}"]`);
    cell("status").parentElement.className = `status ${call.status}`;
    put(cell("status"), statuses[call.status] + (call.suspect ? " ?" : ""));
    put(cell("way"), ways[call.direction] || "");
    party(cell("from"), call.from_name, call.from_number, "withheld");
    cell("from").href = `/calls/${encodeURIComponent(call.session_id)}?account_id=${encodeURIComponent(call.account_id)}`;
    party(cell("to"), call.to_name, call.to_number, "–");
    put(cell("extension"), names.get(`${call.account_id}/${call.extension_id}`) || call.extension_id || "");
    row.dataset.since = call.answered_at || call.started_at;
    running(row);
  };
  const end = (call) => {
    const key = `${call.account_id}/${call.session_id}`;
    rows.get(key)?.remove();
    rows.delete(key);
  };
  const finished = (call) => {
    const row = document.createElement("tr");
    const add = (label, text, right) => {
      const cell = document.createElement("td");
      cell.dataset.label = label;
      if (right) cell.className = "right";
      cell.textContent = text;
      row.append(cell);
      return cell;
    };
    row.dataset.key = `${call.account_id}/${call.session_id}`;
    const link = document.createElement("a");
    link.href = `/calls/${encodeURIComponent(call.session_id)}?account_id=${encodeURIComponent(call.account_id)}`;
    const time = document.createElement("time");
    time.dateTime = call.started_at;
    time.dataset.form = "short";
    link.append(time);
    add("started", "").append(link);
    add("direction", call.internal ? "internal" : ways[call.direction]).className = "way";
    for (const [label, absent] of [["from", "withheld"], ["to", "–"]]) {
      const place = document.createElement("span");
      place.className = "party";
      party(place, call[`${label}_name`], call[`${label}_number`], absent);
      add(label, "").append(place);
    }
    const ending = document.createElement("span");
    ending.className = `ending ${call.disposition}`;
    ending.textContent = call.disposition.replace(/_/g, " ");
    const place = add("ended as", "");
    place.append(ending);
    if (!call.confirmed_at) place.append(" ?");
    add("ringing", lasting(call.ring_seconds), true);
    add("talk", call.answered_at ? lasting(call.talk_seconds) : "–", true);
    local(row);
    [...recent.rows].find((one) => one.dataset.key === row.dataset.key || one.querySelector(`a[href="${link.getAttribute("href")}"]`))?.remove();
    // a back-fill and an amendment tell of calls of long ago
    const started = (one) => one.querySelector("time")?.dateTime || "";
    recent.insertBefore(row, [...recent.rows].find((one) => started(one) <= call.started_at) || null);
    while (recent.rows.length > 12) recent.lastElementChild.remove();
    recent.closest("section").querySelector(".empty")?.remove();
  };

  let asked = false;
  const figures = async () => {
    if (asked) return;
    asked = true;
    setTimeout(() => { asked = false; }, 2000);
    const answer = await fetch("/api/v1/stats?by=day&since=today").catch(() => null);
    if (!answer || !answer.ok) return;
    const today = (await answer.json()).items.at(-1);
    if (!today) return;
    figure("calls", many(today.calls));
    figure("inbound", many(today.inbound));
    figure("rate", today.answer_rate === null ? "–" : `${Math.round(today.answer_rate * 100)} %`);
    figure("missed", many(today.missed));
    figure("ring", lasting(today.ring_seconds_mean));
    figure("talk", lasting(today.talk_seconds));
  };
  const people = async () => {
    if (document.hidden) return;
    const answer = await fetch("/api/v1/presence").catch(() => null);
    if (!answer || !answer.ok) return;
    for (const one of (await answer.json()).items) {
      const place = document.querySelector(`[data-extension="${CSS.escape(one.account_id)}/${CSS.escape(one.extension_id)}"]`);
      if (!place) continue;
      if (place.className !== one.telephony_status) place.className = one.telephony_status;
      put(place.querySelector(".state"), statuses[one.telephony_status] + (one.dnd_status === "DoNotAcceptAnyCalls" ? ", do not disturb" : ""));
    }
  };

  const heard = {};
  const on = (name, act) => {
    heard[name] = (event) => {
      act(JSON.parse(event.data));
      counted();
    };
  };
  on("snapshot", (all) => {
    const known = new Set(all.items.map((call) => `${call.account_id}/${call.session_id}`));
    for (const [key, row] of rows) if (!known.has(key)) { row.remove(); rows.delete(key); }
    for (const call of all.items) show(call);
  });
  on("opened", show);
  on("changed", show);
  on("closed", end);
  on("finished", (call) => { end(call); finished(call); figures(); });
  on("amended", (call) => {
    if ([...recent.querySelectorAll("a")].some((one) => one.getAttribute("href").startsWith(`/calls/${encodeURIComponent(call.session_id)}?`))) finished(call);
    figures();
  });
  // A browser asks again by itself for a stream that broke off, never for one that was refused (a proxy's 502).
  const listen = () => {
    const source = new EventSource("/api/v1/events");
    for (const [name, act] of Object.entries(heard)) source.addEventListener(name, act);
    source.addEventListener("open", () => window.ringledger.look());
    source.addEventListener("error", () => {
      window.ringledger.look();
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
    });
  };
  listen();

  setInterval(() => { if (!document.hidden && !isStale()) for (const row of rows.values()) running(row); }, 1000);
  setInterval(people, 3000);
  setInterval(() => document.hidden || figures(), 30000);
});
