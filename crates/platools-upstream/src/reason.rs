//! Why a request of the HTTP client had no answer, in words that hold no URL.

use std::error::Error;
use std::io;

use rustls::{CertificateError, Error as TlsError};

/// The innermost cause, which says most; the outer ones hold the URL. Of a certificate that is not trusted, also what
/// to do.
pub(crate) fn of_request(error: &reqwest::Error) -> String {
    let mut innermost: &(dyn Error + 'static) = error;
    loop {
        if let Some(tls) = tls(innermost) {
            return of_tls(tls);
        }
        let Some(source) = innermost.source() else { break };
        innermost = source;
    }
    if innermost.is::<reqwest::Error>() { "the request failed".to_owned() } else { innermost.to_string() }
}

/// An error of TLS; those of streams carry it inside of them, and not as their source.
fn tls<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e TlsError> {
    error.downcast_ref().or_else(|| tls(error.downcast_ref::<io::Error>()?.get_ref()?))
}

fn of_tls(error: &TlsError) -> String {
    match error {
        // The latter is of an issuer that has the same name as one that is trusted, such as a renewed one.
        TlsError::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "the issuer of its certificate is not trusted: give the issuer's certificate with `ca_file`"
                .to_owned()
        }
        other => other.to_string(),
    }
}
