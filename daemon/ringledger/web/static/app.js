// What every view shares: times in the viewer's zone, which is named, and the feed's health.
"use strict";
(() => {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const parts = (options) => new Intl.DateTimeFormat("sv-SE", { timeZone: zone, hour12: false, ...options });
  const date = { year: "numeric", month: "2-digit", day: "2-digit" };
  const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
  const forms = { short: { format: (moment) => { // of today the time alone
    const [day, time] = forms.full.format(moment).split(" ");
    return day === forms.full.format(new Date()).split(" ")[0] ? time.slice(0, 5) : `${day.slice(5)} ${time.slice(0, 5)}`;
  } }, full: parts({ ...date, ...clock }), clock: parts(clock) };

  const local = (root) => {
    for (const one of root.querySelectorAll("time[datetime]")) {
      one.textContent = (forms[one.dataset.form] || forms.full).format(new Date(one.dateTime));
    }
    for (const one of root.querySelectorAll("text[data-time]")) {
      one.textContent = forms.clock.format(new Date(one.dataset.time));
    }
  };
  const lasting = (seconds) => {
    if (seconds === null || seconds === undefined) return "–";
    if (seconds < 60) return `${seconds.toFixed(1)} s`;
    const whole = Math.round(seconds), minutes = Math.floor(whole / 60) % 60, hours = Math.floor(whole / 3600);
    const two = (number) => String(number).padStart(2, "0");
    if (hours >= 24) return `${Math.floor(hours / 24)} d ${hours % 24}:${two(minutes)}`;
    return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
  };
  const words = { ok: "live", stale: "no daemon", doubtful: "feed in doubt" };
  const sentences = {
    ok: () => "The daemon writes and its feed is live.",
    doubtful: (it) => `The daemon is ${it.daemon}, its feed is ${it.feed_state || "not known"}. What is shown may lack calls.`,
    stale: (it) => `No daemon writes to this ledger.${it.as_of ? ` What is shown is as of ${forms.full.format(new Date(it.as_of))}.` : ""}`,
  };
  const say = (state, sentence, word = words[state]) => {
    document.documentElement.dataset.state = state;
    for (const pill of document.querySelectorAll("[data-health]")) {
      pill.className = `pill ${state}`;
      pill.title = sentence;
      pill.querySelector("[data-health-text]").textContent = word;
    }
    for (const verdict of document.querySelectorAll("[data-verdict]")) {
      verdict.className = `verdict ${state}`;
      verdict.lastElementChild.textContent = sentence;
    }
    for (const notice of document.querySelectorAll("[data-notice]")) {
      notice.hidden = state === "ok";
      notice.className = `notice ${state}`;
      if (notice.textContent !== sentence) notice.textContent = sentence;
    }
  };
  const look = async () => {
    try {
      const answer = await fetch("/api/v1/health", { headers: { Accept: "application/json" } });
      const body = await answer.json();
      if (!answer.ok) return say("stale", body.detail || "The ledger cannot be read.", answer.status === 401 ? "signed out" : "no database");
      say(body.status, sentences[body.status](body));
    } catch {
      say("stale", "This page does not reach its server; what is shown may be old.", "no server");
    }
  };
  document.addEventListener("DOMContentLoaded", () => {
    for (const one of document.querySelectorAll("[data-zone]")) one.textContent = `those of ${zone}`;
    local(document);
    if (document.querySelector("[data-health]")) setInterval(() => document.hidden || look(), 10000);
    if (document.querySelector("[data-notice]:not([hidden]), [data-verdict]")) look();
  });
  window.ringledger = { local, lasting, look };
})();
