// Holds dashboards against the schema that Grafana publishes: check.mjs FILE...
// Each is broken in ways that Grafana would not forgive, too: a check that finds no fault then is a fault itself.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import Ajv from 'ajv';
import { createGenerator } from 'ts-json-schema-generator';

const path = fileURLToPath(new URL('schema.ts', import.meta.url));
const schema = createGenerator({ path, type: 'Ours', skipTypeCheck: false, additionalProperties: false }).createSchema('Ours');
const ajv = new Ajv({ strict: false, allErrors: true, allowUnionTypes: true });
const isFine = ajv.compile(schema);

const BROKEN = {
  'a panel of no kind': (it) => { it.panels[0].type = 'time-series'; },
  'a panel without its place': (it) => { delete it.panels[0].gridPos; },
  'a place in words': (it) => { it.panels[0].gridPos.x = '0'; },
  'a key that nobody reads': (it) => { it.panels[0].fieldconfig = {}; },
  'an option that no such panel has': (it) => { it.panels[0].options.legends = {}; },
  'a legend that cannot be': (it) => { it.panels[0].options.legend = { displayMode: 'wall', placement: 'bottom', showLegend: true, calcs: [] }; },
  'a query without words': (it) => { for (const key of ['expr', 'rawSql']) delete it.panels[0].targets[0][key]; },
  'a source of another name': (it) => { it.panels[0].targets[0].datasource.uid = 'default'; },
  'a variable that is refreshed never and a half': (it) => { it.templating.list[0].refresh = 7; },
  'a variable of no kind': (it) => { it.templating.list[0].type = 'sql'; },
  'no version of the schema': (it) => { delete it.schemaVersion; },
};

for (const file of process.argv.slice(2)) {
  const text = readFileSync(file, 'utf8');
  if (!isFine(JSON.parse(text))) {
    console.error(file, ajv.errorsText(isFine.errors, { separator: '\n' }));
    process.exit(1);
  }
  for (const [name, damage] of Object.entries(BROKEN)) {
    const broken = JSON.parse(text);
    damage(broken);
    if (isFine(broken)) {
      console.error(`${file}: ${name} was not noticed`);
      process.exit(1);
    }
  }
  console.log(`   ${file.split('/').pop()}: by the schema, and ${Object.keys(BROKEN).length} damages noticed`);
}
