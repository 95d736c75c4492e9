//! Where a port of a virtual machine is reached (plato-api §1).

use platools_net::policy::is_loopback_url;
use url::Url;

use super::ConfigError;
use super::base_url::{checked, gateway};
use crate::secrets::JobId;

const WHAT: &str = "the template of desktops (PLATO_DESKTOP_URL)";
const EXAMPLE: &str = "https://{job_id}--{port}.connect.plato.so";

/// A URL with `{job_id}` in it, and `{port}` unless one address serves all ports.
#[derive(Debug, Clone)]
pub(crate) struct DesktopUrl {
    template: Option<String>,
}

impl DesktopUrl {
    /// The template in a text, or the one that belongs to the API at `base`.
    ///
    /// # Errors
    /// When it is no such template, or leads from an API on this machine to Plato's own gateway.
    pub(super) fn new(text: Option<&str>, base: &Url, allow_insecure: bool) -> Result<Self, ConfigError> {
        let Some(text) = text else {
            // An API on this machine has no gateway that could be known.
            let template =
                (!is_loopback_url(base)).then(|| format!("https://{{job_id}}--{{port}}.{}", gateway(base)));
            return Ok(Self { template });
        };
        let text = text.trim().trim_end_matches('/');
        if !text.contains("{job_id}") {
            let problem = format!("does not contain {{job_id}}: expected something like {EXAMPLE}");
            return Err(ConfigError::Url { what: WHAT, problem });
        }
        let filled = text.replace("{job_id}", "0").replace("{port}", "9000");
        let url = checked(&filled, WHAT, EXAMPLE, allow_insecure)?;
        if is_loopback_url(base)
            && url.host_str().is_some_and(|host| host == "plato.so" || host.ends_with(".plato.so"))
        {
            return Err(ConfigError::ProductionGateway);
        }
        Ok(Self { template: Some(text.to_owned()) })
    }

    /// Where `port` of a job is; the path ends without a slash.
    ///
    /// # Errors
    /// When nobody said where the desktops of an API on this machine are, or the id cannot be part of a URL.
    pub(crate) fn of(&self, job: &JobId, port: u16) -> Result<Url, ConfigError> {
        let template = self.template.as_deref().ok_or(ConfigError::ProductionGateway)?;
        if !job.is_plain() {
            return Err(ConfigError::Value(
                "the server gave a job id that cannot be part of a URL: is the base URL Plato's?".to_owned(),
            ));
        }
        let text = template.replace("{job_id}", job.as_str()).replace("{port}", &port.to_string());
        Url::parse(&text)
            .map_err(|error| ConfigError::Url { what: WHAT, problem: format!("gives no URL ({error})") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(template: Option<&str>, base: &str) -> Result<String, ConfigError> {
        let url = DesktopUrl::new(template, &Url::parse(base).unwrap(), false)?;
        Ok(url.of(&JobId::from("j-1"), 9000)?.into())
    }

    #[test]
    fn a_port_of_a_job_has_its_address() {
        assert_eq!(of(None, "https://plato.so").unwrap(), "https://j-1--9000.connect.plato.so/");
        assert_eq!(of(None, "https://dev.plato.so").unwrap(), "https://j-1--9000.dev.connect.plato.so/");
        let template = "http://127.0.0.1:7/_desktop/{job_id}/";
        assert_eq!(of(Some(template), "http://127.0.0.1:7").unwrap(), "http://127.0.0.1:7/_desktop/j-1");
    }

    #[test]
    fn an_api_on_this_machine_is_never_paired_with_the_production_gateway() {
        for template in
            [None, Some("https://{job_id}--{port}.connect.plato.so"), Some("https://{job_id}.plato.so")]
        {
            for base in ["http://127.0.0.1:7", "http://localhost", "https://[::1]"] {
                assert_eq!(
                    of(template, base).unwrap_err(),
                    ConfigError::ProductionGateway,
                    "{template:?} {base}"
                );
            }
        }
    }

    #[test]
    fn a_template_and_an_id_that_make_no_address_are_refused() {
        for (template, part) in [
            ("https://connect.plato.so", "does not contain {job_id}"),
            ("{job_id}", "is not a URL"),
            ("http://{job_id}.example", "is not encrypted"),
        ] {
            let error = of(Some(template), "https://plato.so").unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let url = DesktopUrl::new(None, &Url::parse("https://plato.so").unwrap(), false).unwrap();
        let error = url.of(&JobId::from("evil.example/"), 1).unwrap_err().to_string();
        assert!(error.contains("cannot be part of a URL") && !error.contains("evil"), "{error}");
    }
}
