//! How the assistant looks: what a theme may say, and what a page gets when it says nothing.
//!
//! Explicit themes are snapshots in their session; a session without one follows the tenant's
//! default as it is when the page asks. Values by their wire names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vestibule_runtime::{Violation, pointer_push};

use crate::error::{Error, Result};

/// What a theme says. Stored as JSON; a member that is not set is left to others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThemeSettings {
    /// Light, dark or both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theme_mode: Option<String>,
    /// CSS variables by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_css_vars: Option<BTreeMap<String, String>>,
    /// Text, never markup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_message: Option<String>,
    /// How much of an answer is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_mode: Option<String>,
    /// Whether there is a sidebar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub show_sidebar: Option<bool>,
    /// Whether there are dashboards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub show_dashboards: Option<bool>,
}

/// The deprecated members of a request, used only where the theme says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallback {
    /// See [`ThemeSettings::response_mode`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_mode: Option<String>,
    /// See [`ThemeSettings::show_sidebar`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub show_sidebar: Option<bool>,
    /// See [`ThemeSettings::show_dashboards`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub show_dashboards: Option<bool>,
}

/// Which theme a request wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ThemeChoice {
    /// None: follow the tenant's default.
    Default,
    /// The one in the request.
    Inline(ThemeSettings),
    /// The tenant's theme of this id, to be looked up.
    Stored(i64),
}

/// Every setting with its value, as a page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedTheme {
    /// See [`ThemeSettings::theme_mode`].
    pub theme_mode: String,
    /// See [`ThemeSettings::custom_css_vars`].
    pub custom_css_vars: BTreeMap<String, String>,
    /// See [`ThemeSettings::start_message`]; there may be none.
    pub start_message: Option<String>,
    /// See [`ThemeSettings::response_mode`].
    pub response_mode: String,
    /// See [`ThemeSettings::show_sidebar`].
    pub show_sidebar: bool,
    /// See [`ThemeSettings::show_dashboards`].
    pub show_dashboards: bool,
}

impl ThemeChoice {
    /// What the members `theme` and `theme_id` of a request ask for together.
    ///
    /// # Errors
    /// `ThemeConflict` when both are given; `Rules` when a CSS variable could load or run
    /// something.
    pub fn of(theme: Option<ThemeSettings>, theme_id: Option<i64>) -> Result<Self> {
        match (theme, theme_id) {
            (Some(_), Some(_)) => Err(Error::ThemeConflict),
            (None, None) => Ok(Self::Default),
            (None, Some(id)) => Ok(Self::Stored(id)),
            (Some(theme), None) => {
                require_inert(&theme)?;
                Ok(Self::Inline(theme))
            }
        }
    }
}

impl Fallback {
    /// Whether the request used a deprecated member, whether or not it had an effect.
    pub fn is_used(&self) -> bool {
        let Self { response_mode, show_sidebar, show_dashboards } = self;
        response_mode.is_some() || show_sidebar.is_some() || show_dashboards.is_some()
    }
}

/// Fills in what is missing: the theme decides, then the deprecated members, then the service.
pub fn resolve(theme: &ThemeSettings, fallback: &Fallback) -> ResolvedTheme {
    let theme = theme.clone();
    let mode = theme.response_mode.or_else(|| fallback.response_mode.clone());
    ResolvedTheme {
        theme_mode: theme.theme_mode.unwrap_or_else(|| "both".into()),
        custom_css_vars: theme.custom_css_vars.unwrap_or_default(),
        start_message: theme.start_message,
        response_mode: mode.unwrap_or_else(|| "full".into()),
        show_sidebar: theme.show_sidebar.or(fallback.show_sidebar).unwrap_or(true),
        show_dashboards: theme.show_dashboards.or(fallback.show_dashboards).unwrap_or(true),
    }
}

/// What the document's pattern cannot say without look-ahead: no value calls these functions.
const FORBIDDEN_CALLS: [&str; 2] = ["url(", "expression("];

fn require_inert(theme: &ThemeSettings) -> Result<()> {
    let calls = |value: &str| {
        let value = value.to_ascii_lowercase();
        FORBIDDEN_CALLS.iter().any(|call| value.contains(call))
    };
    let violations: Vec<Violation> = theme
        .custom_css_vars
        .iter()
        .flatten()
        .filter(|(_, value)| calls(value))
        .map(|(name, _)| {
            let mut pointer = String::from("/theme/custom_css_vars");
            pointer_push(&mut pointer, name);
            Violation::body(pointer, "pattern").actual("a value that calls url() or expression()")
        })
        .collect();
    if violations.is_empty() { Ok(()) } else { Err(Error::Rules(violations)) }
}

#[cfg(test)]
mod tests {
    use proptest::option::of;
    use proptest::prelude::*;

    use super::*;

    fn with_vars(vars: &[(&str, &str)]) -> ThemeSettings {
        let vars = vars.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        ThemeSettings { custom_css_vars: Some(vars), ..ThemeSettings::default() }
    }

    #[test]
    fn theme_and_theme_id_exclude_each_other() {
        let both = ThemeChoice::of(Some(ThemeSettings::default()), Some(1));
        assert!(matches!(both, Err(Error::ThemeConflict)));
        assert_eq!(ThemeChoice::of(None, None).expect("none"), ThemeChoice::Default);
        assert_eq!(ThemeChoice::of(None, Some(7)).expect("an id"), ThemeChoice::Stored(7));
        let empty = ThemeSettings::default();
        let inline = ThemeChoice::of(Some(empty.clone()), None).expect("an empty theme");
        assert_eq!(inline, ThemeChoice::Inline(empty), "an empty theme is still a theme");
    }

    #[test]
    fn every_css_value_that_calls_out_is_named() {
        let theme = with_vars(&[
            ("--a", "URL(//evil)"),
            ("--b", "red"),
            ("--c", "x eXpression(1)"),
            ("--d", "curl (1)"),
        ]);
        let Err(Error::Rules(violations)) = ThemeChoice::of(Some(theme), None) else {
            panic!("two values call out");
        };
        let pointers: Vec<_> = violations.iter().map(|it| it.pointer.as_str()).collect();
        assert_eq!(pointers, ["/theme/custom_css_vars/--a", "/theme/custom_css_vars/--c"]);
        assert!(violations.iter().all(|it| it.keyword == "pattern"));
    }

    #[test]
    fn a_silent_theme_resolves_to_the_documented_defaults() {
        let resolved = resolve(&ThemeSettings::default(), &Fallback::default());
        let expected = ResolvedTheme {
            theme_mode: "both".into(),
            custom_css_vars: BTreeMap::new(),
            start_message: None,
            response_mode: "full".into(),
            show_sidebar: true,
            show_dashboards: true,
        };
        assert_eq!(resolved, expected);
    }

    proptest! {
        /// The theme decides, then the deprecated member, then full, true and true.
        #[test]
        fn the_theme_wins_over_the_request(
            mode in of("full|basic"), sidebar: Option<bool>, dashboards: Option<bool>,
            old_mode in of("full|basic"), old_sidebar: Option<bool>, old_dashboards: Option<bool>,
        ) {
            let theme = ThemeSettings {
                response_mode: mode.clone(), show_sidebar: sidebar, show_dashboards: dashboards,
                ..ThemeSettings::default()
            };
            let fallback = Fallback {
                response_mode: old_mode.clone(),
                show_sidebar: old_sidebar,
                show_dashboards: old_dashboards,
            };
            let resolved = resolve(&theme, &fallback);
            let expected_mode = mode.or(old_mode.clone()).unwrap_or("full".into());
            let expected_dashboards = dashboards.or(old_dashboards).unwrap_or(true);
            prop_assert_eq!(resolved.response_mode, expected_mode);
            prop_assert_eq!(resolved.show_sidebar, sidebar.or(old_sidebar).unwrap_or(true));
            prop_assert_eq!(resolved.show_dashboards, expected_dashboards);
            let used = old_mode.is_some() || old_sidebar.is_some() || old_dashboards.is_some();
            prop_assert_eq!(fallback.is_used(), used);
        }

        /// A value is refused exactly when it holds a call, in any case and anywhere.
        #[test]
        fn calls_are_found_in_any_case(
            before in "[a-z ]{0,5}",
            call in "[uU][rR][lL]\\(|[eE][xX]pressio[nN]\\(|rgb\\(|url|expression",
            after in "[a-z/]{0,5}",
        ) {
            let value = format!("{before}{call}{after}");
            let refused = ThemeChoice::of(Some(with_vars(&[("--x", &value)])), None).is_err();
            prop_assert_eq!(refused, call.ends_with('(') && call != "rgb(");
        }
    }
}
