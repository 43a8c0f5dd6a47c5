// Prints, as JSON, a definition's errors according to the ASL validator and JSONata's reference parser.
// Usage: NODE_PATH=<node_modules> node validate.js <definition.asl.json>
const fs = require("node:fs");
const validate = require("asl-validator");
const jsonata = require("jsonata");

const text = fs.readFileSync(process.argv[2], "utf8").replaceAll("${Partition}", "aws");

function expressions(value) {
  if (typeof value === "string") {
    return value.startsWith("{%") ? [value.slice(2, -2).trim()] : [];
  }
  return value && typeof value === "object" ? Object.values(value).flatMap(expressions) : [];
}

function fault(expression) {
  try {
    jsonata(expression);
    return [];
  } catch (error) {
    return [`${error.code} in ${expression}`];
  }
}

const definition = JSON.parse(text);
const found = expressions(definition);
console.log(
  JSON.stringify({
    // The validator changes its input, so it gets a copy.
    structure: validate(JSON.parse(text)).errors.map((error) => error.Message),
    expressions: found.length,
    faults: found.flatMap(fault),
  }),
);
