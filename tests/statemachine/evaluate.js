// Evaluates expressions with JSONata's reference implementation; prints their results as JSON.
// Usage: NODE_PATH=<node_modules> node evaluate.js <evaluations.json
const fs = require("node:fs");
const jsonata = require("jsonata");

// $random() returns one of its bounds; any result between those of both bounds is correct.
async function evaluate({ expression, bindings }, random) {
  try {
    const parsed = jsonata(expression);
    parsed.registerFunction("random", () => random);
    const value = await parsed.evaluate(undefined, bindings);
    return value === undefined ? { error: "undefined" } : { value };
  } catch (error) {
    return { error: error.code ?? String(error) };
  }
}

async function main() {
  const evaluations = JSON.parse(fs.readFileSync(0, "utf8"));
  const bounds = (one) => Promise.all([0, 1].map((random) => evaluate(one, random)));
  console.log(JSON.stringify(await Promise.all(evaluations.map(bounds))));
}

main();
