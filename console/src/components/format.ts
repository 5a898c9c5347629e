// Values as people read them: durations, moments, telephone numbers. Pure; the language and time zone are the browser's.

import type { Party } from "../api/types.gen.ts";

/** `0:07`, `12:34`, `1:02:03`; never negative. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n: number) => String(n).padStart(2, "0");
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** `1 h 2 min`, `3 min 20 s`, `7 s`: a duration in words that a screen reader says well. */
export function spoken(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (h > 0) return m > 0 ? `${h} h ${m} min` : `${h} h`;
  if (m > 0) return s > 0 ? `${m} min ${s} s` : `${m} min`;
  return `${s} s`;
}

/** A duration as the value of `<time datetime>`. */
export function isoDuration(seconds: number): string {
  return `PT${Math.max(0, Math.floor(seconds))}S`;
}

/** Milliseconds as seconds with one digit, kept on one line: `1.0 s`. */
export function tenths(ms: number): string {
  return `${(Math.max(0, ms) / 1000).toFixed(1)}\u00a0s`;
}

/** A party as people write it: North American numbers grouped, clients and SIP addresses by their name. */
export function party(text: Party): string {
  const american = /^\+1(\d{3})(\d{3})(\d{4})$/.exec(text);
  if (american) return `+1 ${american[1]} ${american[2]} ${american[3]}`;
  if (text.startsWith("client:")) return text.slice("client:".length);
  if (/^sips?:/.test(text)) return text.replace(/^sips?:/, "");
  if (text === "" || text === "anonymous") return "Number withheld";
  return text;
}

/** What somebody typed as a number, as E.164, or nothing when it cannot be one. Groups and brackets may be in it. */
export function readNumber(typed: string): string | null {
  const digits = typed.replace(/[\s().\u00a0\u2010-\u2015/-]/g, "");
  return /^\+[1-9]\d{1,14}$/.test(digits) ? digits : null;
}

/** What somebody typed to search for a number: its digits and a leading `+`, at most as many as a number has. */
export function numberPart(typed: string): string {
  const digits = typed.replace(/\D/g, "");
  return ((typed.trim().startsWith("+") ? "+" : "") + digits).slice(0, 16);
}

const time = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const exactTime = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });
const dayOfYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

/** `14:05` today, `Mon, 3 Mar, 14:05` this year, with the year before that. */
export function moment(at: number | string, now: number): string {
  const [date, today] = [new Date(at), new Date(now)];
  if (date.toDateString() === today.toDateString()) return time.format(date);
  const which = date.getFullYear() === today.getFullYear() ? day : dayOfYear;
  return `${which.format(date)}, ${time.format(date)}`;
}

export const timeOfDay = (at: number): string => exactTime.format(at);
/** Everything about a moment, the time zone too. */
export const exactly = (at: number | string): string => full.format(new Date(at));
