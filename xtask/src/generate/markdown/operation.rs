//! The page of one operation: what it is for, who may call it, what goes in and all that comes out.

use std::fmt::Write as _;

use heck::{ToShoutySnakeCase as _, ToTitleCase as _};
use serde_json::{Value, json};

use super::super::api::{Answer, Api, Operation, members, resolve};
use super::{ERRORS, INDEX, example, one_line, prose, schema, string, table};

/// The whole page.
pub fn page(operation: &Operation, root: &Value, api: &Api) -> String {
    let method = operation.method.to_lowercase();
    let it = Page { operation, root, node: &root["paths"][&operation.path][&method], api };
    let mut text = it.head();
    text.push_str(&it.authentication());
    text.push_str(&it.parameters());
    text.push_str(&it.body());
    let _ = write!(text, "\n## Example request\n\n{}", it.curl());
    text.push_str("\n## Answers\n");
    for answer in &operation.answers {
        text.push_str(&it.answer(answer));
    }
    text
}

/// How it is found out which of several credentials a request shows.
const ANY_OF: &str = "\nAny one of the following. A header of a signature decides for the signature, \
    whatever else is sent; a bearer token is tried as each kind of token below, in this order.\n";

struct Page<'a> {
    operation: &'a Operation,
    root: &'a Value,
    node: &'a Value,
    api: &'a Api,
}

impl Page<'_> {
    fn head(&self) -> String {
        let Operation { summary, method, path, id, description, document, .. } = self.operation;
        let deprecated = self.node["deprecated"] == true;
        let note = if deprecated { "**Deprecated.**\n\n" } else { "" };
        let description = prose(description);
        format!(
            "# {summary}\n\n`{method} {path}`\n\n{note}{description}\n\n\
             Operation `{id}` of [{document}.json](/openapi/{document}.json); \
             [all operations]({INDEX}).\n"
        )
    }

    /// The schemes of one of the alternatives.
    fn schemes<'s>(
        &'s self,
        requirement: &'s Value,
    ) -> impl Iterator<Item = (&'s String, &'s Value)> {
        let schemes = &self.root["components"]["securitySchemes"];
        members(requirement).map(|(name, _)| (name, &schemes[name]))
    }

    fn authentication(&self) -> String {
        let mut text = "\n## Authentication\n".to_owned();
        let alternatives: Vec<_> = self.node["security"].as_array().into_iter().flatten().collect();
        match alternatives.len() {
            0 => text.push_str("\nNone: no header carries a credential.\n"),
            1 => {}
            _ => text.push_str(ANY_OF),
        }
        for (requirement, credential) in alternatives.iter().zip(&self.operation.credentials) {
            let all: Vec<_> = self.schemes(requirement).collect();
            text.push_str(match (alternatives.len(), all.len()) {
                (1, 1) => "\nOne header:\n\n",
                (1, _) => "\nAll of these headers, each exactly once:\n\n",
                (_, 1) => "\nEither one header:\n\n",
                (_, _) => "\nEither all of these headers, each exactly once:\n\n",
            });
            for (_, scheme) in &all {
                let about = prose(&one_line(string(&scheme["description"])));
                let _ = writeln!(text, "- `{}`: {about}", header(scheme));
            }
            if credential.browser_refused {
                text.push_str(
                    "\nFor backends only: a request with an `Origin` header, as browsers send it, is \
                     refused.\n",
                );
            }
        }
        if self.operation.cors {
            text.push_str("\nBrowsers of allowed origins may read the answers (CORS).\n");
        }
        text
    }

    fn listed(&self) -> impl Iterator<Item = &Value> {
        let all = self.node["parameters"].as_array().into_iter().flatten();
        all.map(|parameter| resolve(self.root, parameter))
    }

    fn parameters(&self) -> String {
        let rows: Vec<_> = self.listed().map(|it| self.parameter(it)).collect();
        if rows.is_empty() {
            return String::new();
        }
        let head = ["Name", "In", "Type", "Required", "Constraints", "Description"];
        format!("\n## Parameters\n\n{}", table(head, rows))
    }

    fn parameter(&self, it: &Value) -> [String; 6] {
        let required = if it["required"] == true { "yes" } else { "no" };
        [
            format!("`{}`", string(&it["name"])),
            string(&it["in"]).to_owned(),
            schema::kind(self.root, &it["schema"]),
            required.to_owned(),
            schema::constraints(self.root, &it["schema"]),
            prose(string(&it["description"])),
        ]
    }

    fn media(&self) -> Option<&Value> {
        self.node["requestBody"]["content"].get("application/json")
    }

    fn body(&self) -> String {
        let Some(media) = self.media() else { return String::new() };
        let body = &self.node["requestBody"];
        let required = if body["required"] == true { "required" } else { "optional" };
        let most = self.operation.body.as_ref().map_or(0, |body| body.max_bytes);
        let it = schema::constraints(self.root, &media["schema"]);
        let whole = if it.is_empty() { it } else { format!("; {it}") };
        format!(
            "\n## Request body\n\n{}\n\n`application/json`, {required}, at most {most} bytes{whole}.\n\n{}",
            prose(string(&body["description"])),
            schema::members_table(self.root, &media["schema"]),
        )
    }

    /// A command that can be run once its variables are set.
    fn curl(&self) -> String {
        let mut path = self.operation.path.clone();
        let mut headers = Vec::new();
        let mut query = Vec::new();
        for it in self.listed() {
            let (name, value) = (string(&it["name"]), example::of(self.root, it));
            let value = schema::plain(&value);
            match string(&it["in"]) {
                "path" => path = path.replace(&format!("{{{name}}}"), &value),
                "header" if it["required"] == true => headers.push(format!("'{name}: {value}'")),
                "query" if it["required"] == true => query.push(format!("{name}={value}")),
                _ => {}
            }
        }
        let secret = |(name, scheme): (&String, &Value)| {
            format!(
                "\"{}\"",
                header(scheme).replace('…', &format!("${}", name.to_shouty_snake_case()))
            )
        };
        headers.extend(self.schemes(&self.node["security"][0]).map(secret));
        let server = string(&self.root["servers"][0]["url"]);
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        let mut lines = vec![format!("curl -X {} '{server}{path}{query}'", self.operation.method)];
        lines.extend(headers.iter().map(|header| format!("  -H {header}")));
        if let Some(media) = self.media() {
            lines.push("  -H 'Content-Type: application/json'".to_owned());
            let body = example::pretty(&example::of(self.root, media)).replace('\'', r"'\''");
            lines.push(format!("  -d '{body}'"));
        }
        format!("```sh\n{}\n```\n", lines.join(" \\\n"))
    }

    fn answer(&self, answer: &Answer) -> String {
        let node = resolve(self.root, &self.node["responses"][answer.status.to_string()]);
        let mut text = format!("\n### {} {}\n\n", answer.status, phrase(answer));
        let _ = writeln!(text, "{}", prose(&answer.description));
        let rows: Vec<_> = members(&node["headers"]).map(|(n, h)| self.header(n, h)).collect();
        if !rows.is_empty() {
            let head = ["Header", "Type", "Always sent", "Constraints", "Description"];
            let _ = write!(text, "\n{}", table(head, rows));
        }
        if answer.is_success() {
            text.push_str(&self.success(node));
            return text;
        }
        let rows =
            answer.codes.iter().map(|code| [format!("`{code}`"), prose(&self.message(code))]);
        let _ = write!(text, "\n{}", table(["Code", "Message"], rows));
        let body = example::json(&self.error(answer));
        let _ = write!(text, "\nThe body is [the error object]({ERRORS}):\n\n{body}");
        text
    }

    fn header(&self, name: &str, header: &Value) -> [String; 5] {
        let it = resolve(self.root, header);
        [
            format!("`{name}`"),
            schema::kind(self.root, &it["schema"]),
            if it["required"] == true { "yes" } else { "no" }.to_owned(),
            schema::constraints(self.root, &it["schema"]),
            prose(string(&it["description"])),
        ]
    }

    fn success(&self, node: &Value) -> String {
        let media = &node["content"]["application/json"];
        if media.is_null() {
            return "\nThere is no body.\n".to_owned();
        }
        let members = schema::members_table(self.root, &media["schema"]);
        format!("\n{members}\n{}", example::json(&example::of(self.root, media)))
    }

    fn message(&self, code: &str) -> String {
        let known = self.api.codes.iter().find(|(name, _)| name == code);
        known.map(|(_, message)| message.clone()).unwrap_or_default()
    }

    /// An error with a violation where there can be one: a required member is left out.
    fn error(&self, answer: &Answer) -> Value {
        let schema = self.media().map(|media| resolve(self.root, &media["schema"]));
        let member = schema.and_then(|it| it["required"][0].as_str());
        let code = string(&self.root["x-validation"]["body"]["code"]);
        let missing = member.filter(|_| answer.codes.iter().any(|it| it == code));
        let (code, details) = match missing {
            Some(member) => {
                let pointer = format!("/{member}");
                let one = json!({ "in": "body", "keyword": "required", "pointer": pointer });
                (code, json!({ "violations": [one] }))
            }
            None => (answer.codes.first().map_or("", String::as_str), json!({})),
        };
        let id = &self.root["components"]["schemas"]["Error"]["example"]["request_id"];
        json!({
            "error": code,
            "message": self.message(code),
            "details": details,
            "request_id": id,
        })
    }
}

/// A scheme's header with `…` in place of the credential.
fn header(scheme: &Value) -> String {
    match scheme["name"].as_str() {
        Some(name) => format!("{name}: …"),
        None => "Authorization: Bearer …".to_owned(),
    }
}

/// `Bad Request`; the title of 200 is an abbreviation.
fn phrase(answer: &Answer) -> String {
    if answer.status == 200 { "OK".to_owned() } else { answer.variant.to_title_case() }
}
