// The plots of a user: the map of rules, evidence, what came back, and what was learned.

import { barChart, lineChart, scatterChart } from "./charts.js";
import { el, fill } from "./dom.js";

/** Draw what `inspect/api/plots` gave; `choose(id)` is called for a rule that is picked on the map. */
export function draw(section, plots, choose) {
  if (!plots.map.points.length && !plots.use.length && !plots.learned.length) {
    fill(section, el("p", { class: "empty" }, "Nothing to draw yet: this user has no rules and no recalls."));
    return;
  }
  fill(section, el("div", { class: "plots" }, cards(plots, choose).map((c) => el("div", { class: "card" }, c))));
}

function cards({ map, evidence, repeated, unit, use, learned }, choose) {
  const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" });
  const begin = (period) => day.format(new Date(period.start));
  const per = unit === "day" ? "Day" : `${unit === "week" ? "Week" : "Month"} from`;
  const points = map.points.map((p) => ({ x: p.x, y: p.y, name: p.text, group: p.group, id: p.card_id }));
  return [
    scatterChart({
      title: "Map of the active rules",
      note: `Near means alike in meaning. The two axes show ${Math.round(map.share * 100)} % of the differences.`,
      x: "First direction", y: "Second direction",
      points, groups: map.groups, choose: (point) => choose(point.id),
    }),
    evidence.length
      ? lineChart({
          title: "Evidence for and against rules, by use",
          note: "Above 0 speaks for a rule, below 0 against it; the five with the most evidence.",
          x: "Day", y: "Evidence (log-odds)", steps: true, range: [-1, 1],
          series: evidence.map((rule) => ({ name: rule.text, points: steps(rule.evidence) })),
        })
      : none("Evidence for and against rules, by use", "No follow-up has spoken for or against a rule yet."),
    repeated.length > 0 &&
      lineChart({
        title: "Rules that were said more than once",
        note: "Each quote is a time that the user said it.",
        x: "Day", y: "Quotes", steps: true, range: [0, 3], whole: true,
        series: repeated.map((rule) => ({ name: rule.text, points: steps(rule.said) })),
      }),
    barChart({
      title: "Answers that were complained about",
      note: `${rate(use)} Others: follow-ups without praise or complaint.`,
      x: per, y: "Follow-ups", periods: use.map(begin),
      series: [
        { name: "praised", values: use.map((u) => u.praise) },
        { name: "complained about", values: use.map((u) => u.complaints) },
        { name: "others", values: use.map((u) => u.followups - u.praise - u.complaints) },
      ],
    }),
    barChart({
      title: "What was learned",
      note: "Rules that the user forgot since are not counted.",
      x: per, y: "Rules", periods: learned.map(begin),
      series: [
        { name: "new", values: learned.map((l) => l.new) },
        { name: "said again", values: learned.map((l) => l.again) },
        { name: "closed", values: learned.map((l) => l.closed) },
      ],
    }),
  ].filter(Boolean);
}

const steps = (list) => list.map((step) => [step.at, step.value]);

function rate(use) {
  const sum = (name) => use.reduce((total, period) => total + period[name], 0);
  const rewards = use.filter((period) => period.reward !== null);
  if (!rewards.length) return `${sum("recalls")} recalls, no follow-up yet.`;
  const mean = rewards.reduce((total, p) => total + p.reward * p.followups, 0) / sum("followups");
  return `${sum("recalls")} recalls, ${sum("with_rules")} with rules; mean reward ${mean.toFixed(2)} of -1 to 1.`;
}

function none(title, why) {
  return [el("h3", {}, title), el("p", { class: "empty" }, why)];
}
