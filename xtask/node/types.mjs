// Reads {"<name>": <OpenAPI document>, …} from standard input and writes {"<name>": "<TypeScript>", …}:
// the types of each document. The argument is the folder of the installed packages.

import { json } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

const installed = (path) => import(pathToFileURL(`${process.argv[2]}/${path}`));
const { default: openapiTS, astToString } = await installed("openapi-typescript/dist/index.mjs");
const { default: ts } = await installed("typescript/lib/typescript.js");

// A member with a default may be left out of a request.
const options = { defaultNonNullable: false, rootTypes: true, rootTypesNoSchemaPrefix: true };

const modules = {};
for (const [name, document] of Object.entries(await json(process.stdin))) {
  const nodes = await openapiTS(document, options);
  moveRecursiveSchemas(nodes);
  modules[name] = astToString(nodes);
}
process.stdout.write(JSON.stringify(modules));

// A member of an interface may not name itself in its own type; a type alias may. So what a schema
// that contains itself is moves to its alias, and the member of `components` refers there.
function moveRecursiveSchemas(nodes) {
  const components = nodes.find((node) => ts.isInterfaceDeclaration(node) && node.name.text === "components");
  const schemas = components.members.find((member) => member.name.text === "schemas");
  for (const member of schemas.type.members ?? []) {
    const name = member.name.text;
    let isRecursive = false;
    const visit = (node) => {
      if (!isSchema(node, name)) return ts.visitEachChild(node, visit, undefined);
      isRecursive = true;
      return ts.factory.createTypeReferenceNode(name);
    };
    const type = visit(member.type);
    if (!isRecursive) continue;
    member.type = ts.factory.createTypeReferenceNode(name);
    nodes.find((node) => ts.isTypeAliasDeclaration(node) && node.name.text === name).type = type;
  }
}

// Whether a node is `components["schemas"]["<name>"]`.
function isSchema(node, name) {
  const index = (it) => (ts.isIndexedAccessTypeNode(it) ? it.indexType.literal?.text : undefined);
  return index(node) === name && index(node.objectType) === "schemas";
}
